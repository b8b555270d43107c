// Which tokens remain after top-k, top-p and min-p, and how much each weighs.
//
// Each of the three keeps a prefix of the tokens ordered by falling logit (lower id first among equals), so
// together they keep the shortest of the three prefixes. The prefix is found without sorting the vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/request.h"

namespace fovea::sampling {

struct Candidate {
  int32_t token;
  float logit;
  double weight;  // e^((logit - largest) / temperature): the probability times a constant
};

class Nucleus {
 public:
  // Reserves what select() needs.
  Nucleus(const SamplingOptions& options, int vocabulary);

  // The remaining tokens, most likely first. REQUIRES temperature > 0 and `largest`, the largest of `logits`,
  // finite. The result stays valid until the next call.
  std::span<const Candidate> select(std::span<const float> logits, float largest);

 private:
  void take_most_likely(std::span<const float> logits, size_t count);
  double weigh(float logit, float largest) const;
  double total_weight(std::span<const float> logits, float largest) const;
  bool cut(double total);  // by top-p of `total` and min-p; false: neither cut anything, more may belong

  SamplingOptions options_;
  std::vector<Candidate> candidates_;
};

}  // namespace fovea::sampling
