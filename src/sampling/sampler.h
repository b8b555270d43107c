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

  // Chooses the next token and remembers it. Logits that are not numbers are never chosen.
  // REQUIRES logits.size() == vocabulary. Does not allocate after the first call.
  // errors: Error when nothing is left to choose: every logit is NaN, or -infinity by way of logit_bias
  int32_t next(std::span<const float> logits);

 private:
  std::span<const float> adjusted(std::span<const float> logits);
  int32_t draw_from_vocabulary(std::span<const float> logits, float largest);
  int32_t draw_from_nucleus(std::span<const float> logits, float largest);

  SamplingOptions options_;
  bool filters_;  // top-k, top-p or min-p is on
  Penalties penalties_;
  Nucleus nucleus_;
  uint64_t draws_ = 0;
  std::vector<float> adjusted_;  // [vocabulary] logits after bias and penalties; empty when there are none
  std::vector<double> block_weights_;  // total weight of each block of the vocabulary
};

}  // namespace fovea::sampling
