// What has been said, and how it lowers what may be said next.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/request.h"

namespace fovea::sampling {

// Counts of the tokens seen, kept only for the penalties that are switched on.
// REQUIRES options that passed check_options().
class Penalties {
 public:
  Penalties(const SamplingOptions& options, int vocabulary, std::span<const int32_t> prompt);

  bool active() const { return !window_counts_.empty() || !generated_counts_.empty(); }
  void remember_generated(int32_t token);
  // Repetition first, then presence and frequency.
  void apply(std::span<float> logits) const;

 private:
  void see(int32_t token);  // moves the window of the repetition penalty on by one

  float repetition_, presence_, frequency_;
  bool window_is_all_;
  std::vector<int32_t> window_;            // ring of the newest tokens; empty when the window is everything
  size_t window_next_ = 0;                 // where the ring is written next
  std::vector<int32_t> window_counts_;     // [vocabulary] times in the window; empty: penalty is off
  std::vector<int32_t> generated_counts_;  // [vocabulary]; empty: both penalties are off
};

}  // namespace fovea::sampling
