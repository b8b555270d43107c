// Random weights, made directly in the form in which they are stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/number_format.h"

namespace fovea::synthesis {

// The source of one tensor's bytes: a function of seed and name, so that the layers of a shallow model are
// those of a deep one.
uint64_t stream_of(uint64_t seed, std::string_view tensor);

// Fills `bytes`, the part of a tensor that begins at byte `offset`, with weights of mean 0 and the given
// standard deviation. The same stream and offset give the same bytes, however the tensor is cut into parts.
// REQUIRES  whole blocks; offset and bytes.data() on multiples of 8; deviation > 0
void fill_weights(NumberFormat format, float deviation, uint64_t stream, uint64_t offset, std::span<std::byte> bytes);

// Norm weights, f32, near 1.
void fill_norm(uint64_t stream, std::span<float> weights);

}  // namespace fovea::synthesis
