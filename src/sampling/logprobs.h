// Logits -> log probabilities of a few tokens.
#pragma once

#include <cstdint>
#include <span>

#include "fovea/request.h"

namespace fovea::sampling {

// Of `token` and of the `top` most likely. What is not a number counts as impossible.
// REQUIRES 0 <= token < logits.size(), top >= 0
TokenLogprobs logprobs_of(std::span<const float> logits, int32_t token, int top);

}  // namespace fovea::sampling
