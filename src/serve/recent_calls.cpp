#include "serve/recent_calls.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace fovea::serve {

TimeShares shares_of(std::span<double> seconds) {
  if (seconds.empty()) return {};
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) { return seconds[static_cast<size_t>(std::ceil(share * static_cast<double>(seconds.size()))) - 1]; };
  return {at(0.5), at(0.95)};
}

void RecentCalls::add(const CallTimes& call, Clock::time_point ended) {
  const std::lock_guard lock(mutex_);
  calls_.push_back({ended, call});
  if (calls_.size() > kMost) calls_.pop_front();
}

RecentCalls::Summary RecentCalls::summary(Clock::time_point now) const {
  std::vector<double> first, whole, token;
  const std::lock_guard lock(mutex_);
  for (const auto& [at, times] : calls_) {
    if (now - at > kSpan) continue;
    whole.push_back(times.seconds);
    if (times.first_seconds < 0) continue;
    first.push_back(times.first_seconds);
    if (times.generated_tokens > 1) token.push_back((times.seconds - times.first_seconds) / (times.generated_tokens - 1));
  }
  return {static_cast<int>(whole.size()), shares_of(first), shares_of(whole), shares_of(token)};
}

}  // namespace fovea::serve
