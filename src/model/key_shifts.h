// What is added to every key of a head before a narrow codec stores it.
//
// The same vector added to all keys changes all scores of a query by the same amount, and the softmax by nothing. Keys of trained models
// have a large mean; without it they are shorter, and a codec loses less of them. The mean over a fixed text is near enough, and the same
// whenever the model is loaded, so that what the cache holds depends on tokens and model alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "kernels/compute.h"
#include "model/forward.h"

namespace fovea::model {

inline constexpr int kKeyShiftTokens = 128;  // as many are worth reading

// Reads `tokens` (the first kKeyShiftTokens of them) with keys and values in bf16, and returns for each layer minus the mean key of the
// positions that the last one sees, without the first of all: [kv_heads * head_dim]. Empty for layers whose `groups` have no scaled codec
// of keys, and for those where it would not be the same: scores that are capped or compete with sinks, keys that hold their values, layers
// without keys of their own.
std::vector<AlignedArray<float>> measure_key_shifts(const ModelSpec& spec, const Weights& weights, std::span<const kv::GroupSpec> groups,
                                                    std::span<const int32_t> tokens, kernels::Compute& compute, Scratch& scratch,
                                                    int most_rows);

}  // namespace fovea::model
