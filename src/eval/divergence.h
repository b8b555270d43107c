// How far one distribution of the next token is from another.
#pragma once

#include <cstdint>
#include <span>

namespace fovea::eval {

struct Divergence {
  double kl = 0;  // sum of P (log P - log Q), in nats; NaN when a logit is
  bool same_top = false;
};

// P and Q as logits, summed in double. REQUIRES equal sizes, not empty
Divergence divergence(std::span<const float> p, std::span<const float> q);

}  // namespace fovea::eval
