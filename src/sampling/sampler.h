// Logits -> token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/request.h"
#include "sampling/nucleus.h"
#include "sampling/penalties.h"

namespace fovea::sampling {

// One generation's choices: its options, its random state, the tokens it has seen.
//
// Reproducible: the token depends on options, seed, logits and history alone. The random numbers are a
// counter-based generator of ours (the standard library's distributions differ between implementations).
// threads  one at a time
// errors   construction throws Error naming the option, its value and its range
class Sampler {
 public:
  // prompt: for the penalties. REQUIRES vocabulary > 0.
  Sampler(const SamplingOptions& options, int vocabulary, std::span<const int32_t> prompt);

  // Chooses the next token and remembers it. Logits that are not numbers are never chosen, nor is what `allowed` has no bit for:
  // bit i % 32 of word i / 32 stands for token i; empty: all are.
  // REQUIRES logits.size() == vocabulary, and as many bits. Does not allocate after the first call.
  // errors: Error when nothing is left to choose: every logit is NaN, not allowed, or -infinity by way of logit_bias
  int32_t next(std::span<const float> logits, std::span<const uint32_t> allowed = {});

 private:
  std::span<const float> adjusted(std::span<const float> logits, std::span<const uint32_t> allowed);
  int32_t draw_from_vocabulary(std::span<const float> logits, float largest);
  int32_t draw_from_nucleus(std::span<const float> logits, float largest);

  SamplingOptions options_;
  bool filters_;  // top-k, top-p or min-p is on
  Penalties penalties_;
  Nucleus nucleus_;
  uint64_t draws_ = 0;
  std::vector<float> adjusted_;        // [vocabulary] logits after bias, penalties and grammar; empty while there are none
  std::vector<double> block_weights_;  // total weight of each block of the vocabulary
};

}  // namespace fovea::sampling
