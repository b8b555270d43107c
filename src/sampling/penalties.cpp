#include "sampling/penalties.h"

namespace fovea::sampling {

constexpr int32_t kEmptySlot = -1;

Penalties::Penalties(const SamplingOptions& options, int vocabulary, std::span<const int32_t> prompt)
    : repetition_(options.repetition_penalty),
      presence_(options.presence_penalty),
      frequency_(options.frequency_penalty),
      window_is_all_(options.penalty_window < 0) {
  if (repetition_ != 1 && options.penalty_window != 0) {
    window_counts_.assign(static_cast<size_t>(vocabulary), 0);
    if (!window_is_all_) window_.assign(static_cast<size_t>(options.penalty_window), kEmptySlot);
    for (const int32_t token : prompt) see(token);
  }
  if (presence_ != 0 || frequency_ != 0) generated_counts_.assign(static_cast<size_t>(vocabulary), 0);
}

void Penalties::see(int32_t token) {
  ++window_counts_[static_cast<size_t>(token)];
  if (window_is_all_) return;
  int32_t& slot = window_[window_next_];
  if (slot != kEmptySlot) --window_counts_[static_cast<size_t>(slot)];
  slot = token;
  window_next_ = window_next_ + 1 == window_.size() ? 0 : window_next_ + 1;
}

void Penalties::remember_generated(int32_t token) {
  if (!window_counts_.empty()) see(token);
  if (!generated_counts_.empty()) ++generated_counts_[static_cast<size_t>(token)];
}

void Penalties::apply(std::span<float> logits) const {
  for (size_t i = 0; i < window_counts_.size(); ++i) {
    if (window_counts_[i] == 0) continue;
    logits[i] = logits[i] > 0 ? logits[i] / repetition_ : logits[i] * repetition_;
  }
  for (size_t i = 0; i < generated_counts_.size(); ++i) {
    if (generated_counts_[i] == 0) continue;
    logits[i] -= presence_ + frequency_ * static_cast<float>(generated_counts_[i]);
  }
}

}  // namespace fovea::sampling
