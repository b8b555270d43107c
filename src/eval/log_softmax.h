// The logarithm of one token's probability.
#pragma once

#include <cstdint>
#include <span>

namespace fovea::eval {

// log softmax(logits)[token], summed in double. -infinity for a token whose logit is -infinity, NaN when a
// logit is. REQUIRES 0 <= token < logits.size()
double log_probability(std::span<const float> logits, int32_t token);

}  // namespace fovea::eval
