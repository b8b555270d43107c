#include "engine/prompt_share.h"

#include <algorithm>

namespace fovea {
namespace {

constexpr double kNewest = 0.25;  // weight of the newest measurement

void learn(double& mean, double value) { mean = mean == 0 ? value : mean + kNewest * (value - mean); }

}  // namespace

int PromptShare::rows() const {
  const int least = std::min(kLeastRows, most_);
  if (step_seconds_ == 0 || row_seconds_ == 0) return std::min(kFirstRows, most_);
  const double affordable = (kStretch - 1) * step_seconds_ / row_seconds_;
  return affordable >= most_ ? most_ : std::max(least, static_cast<int>(affordable));
}

void PromptShare::took(int generated_rows, int prompt_rows, double seconds) {
  if (seconds <= 0) return;
  if (prompt_rows == 0) {
    learn(step_seconds_, seconds);
  } else if (generated_rows == 0) {
    learn(row_seconds_, seconds / prompt_rows);
  } else if (seconds > step_seconds_) {  // a step without prompts would have taken step_seconds_, as far as is known
    learn(row_seconds_, (seconds - step_seconds_) / prompt_rows);
  }
}

}  // namespace fovea
