#include "engine/team_size.h"

#include <algorithm>

namespace fovea {
namespace {

constexpr int kTrialSteps = 6;
constexpr int kShortestWait = 16, kLongestWait = 256;  // steps
constexpr double kMuchStalled = 0.12;
constexpr double kFasterBy = 0.96;
constexpr double kNewest = 1.0 / 8;  // weight of the newest step in the running means

}  // namespace

void TeamSize::took(int rows, double seconds, double stalled_seconds) {
  if (rows != rows_) {
    rows_ = rows;
    restart();
  }
  if (trial_steps_ > 0) {
    trial_seconds_ += seconds;
    if (--trial_steps_ == 0) end_trial();
    return;
  }
  const double share = seconds > 0 ? stalled_seconds / seconds : 0;
  stalled_ = seconds_ == 0 ? share : stalled_ + kNewest * (share - stalled_);
  seconds_ = seconds_ == 0 ? seconds : seconds_ + kNewest * (seconds - seconds_);
  if (wait_ > 0) {
    --wait_;
  } else if (size_ > 1 && stalled_ > kMuchStalled) {
    const int smaller[] = {size_ - 1, size_ / 2, 1};  // one processor is busy, or several
    start_trial(smaller[attempts_++ % 3]);
  } else if (size_ < most_) {
    start_trial(size_ + 1);
  }
}

void TeamSize::start_trial(int size) {
  trial_size_ = size;
  trial_steps_ = kTrialSteps;
  trial_seconds_ = 0;
}

void TeamSize::end_trial() {
  const double mean = trial_seconds_ / kTrialSteps;
  if (mean < kFasterBy * seconds_) {
    size_ = trial_size_;
    seconds_ = mean;
    stalled_ = 0;
    backoff_ = kShortestWait;
  } else {
    backoff_ = std::clamp(2 * backoff_, kShortestWait, kLongestWait);
  }
  wait_ = backoff_;
}

void TeamSize::restart() {
  seconds_ = stalled_ = 0;
  trial_steps_ = 0;
  wait_ = kShortestWait / 2;
}

}  // namespace fovea
