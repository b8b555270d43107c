#include "engine/step_times.h"

#include <algorithm>

namespace fovea {
namespace {

// Other programs only ever make a step longer: what is shorter than was thought is believed sooner than what is longer.
constexpr double kShorter = 0.5, kLonger = 0.1;

}  // namespace

void StepTimes::took(int rows, double seconds) {
  if (rows < 1 || rows > kMostRows || seconds <= 0) return;
  double& mean = seconds_[static_cast<size_t>(rows)];
  mean = mean == 0 ? seconds : mean + (seconds < mean ? kShorter : kLonger) * (seconds - mean);
}

double StepTimes::seconds(int rows) const {
  if (known(rows)) return seconds_[static_cast<size_t>(rows)];
  return *std::max_element(seconds_.begin(), seconds_.begin() + std::clamp(rows, 0, kMostRows) + 1);
}

}  // namespace fovea
