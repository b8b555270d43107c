// Logits -> token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/request.h"

namespace fovea::sampling {

// One generation's choices: its options, its random state, the tokens it has seen.
//
// Reproducible: the token depends on options, seed, logits and history alone. The random numbers are a counter-based
// generator of ours (the standard library's distributions differ between implementations).
// threads  one at a time
// errors   construction throws Error naming the option, its value and its range
class Sampler {
 public:
  // prompt: for the penalties. REQUIRES vocabulary > 0.
  Sampler(const SamplingOptions& options, int vocabulary, std::span<const int32_t> prompt);

  // Chooses the next token and remembers it. Logits that are not numbers are never chosen.
  // REQUIRES logits.size() == vocabulary. Does not allocate after the first call.
  int32_t next(std::span<const float> logits);

 private:
  struct Candidate {
    int32_t token;
    float logit;
  };
  SamplingOptions options_;
  int vocabulary_;
  uint64_t draws_ = 0;
  std::vector<int32_t> history_;        // prompt and output
  std::vector<int32_t> generated_counts_;
  std::vector<Candidate> candidates_;
};

}  // namespace fovea::sampling
