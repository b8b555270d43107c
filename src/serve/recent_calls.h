// How long calls took lately.
#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <span>

namespace fovea::serve {

struct CallTimes {
  double first_seconds = -1;  // to the first token; negative: there was none
  double seconds = 0;         // to the end
  int generated_tokens = 0;
};

// Of n ascending times, those that half and 95 of 100 do not exceed. Negative: there are none.
struct TimeShares {
  double half = -1, most = -1;
};
TimeShares shares_of(std::span<double> seconds);  // sorts them

// threads  any
class RecentCalls {
 public:
  using Clock = std::chrono::steady_clock;

  struct Summary {
    int calls = 0;
    TimeShares first, whole, token;  // token: between two of an answer, on average
  };

  static constexpr std::chrono::seconds kSpan{60};
  static constexpr size_t kMost = 4096;  // the newest

  void add(const CallTimes& call, Clock::time_point ended = Clock::now());
  Summary summary(Clock::time_point now = Clock::now()) const;  // of calls that ended within kSpan

 private:
  struct Ended {
    Clock::time_point at;
    CallTimes times;
  };
  mutable std::mutex mutex_;
  std::deque<Ended> calls_;
};

}  // namespace fovea::serve
