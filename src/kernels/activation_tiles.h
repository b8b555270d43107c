// The left side of a matrix product: rows of activations, arranged for the kernels.
//
// Rows are taken kTileRows at a time (the last tile may be smaller), because a kernel keeps one sum per row in registers.
//   quantized   [tile][block of 32 inputs][row of the tile] QuantBlock
//               with two digits, tiles are of half as many rows, each of which is in its tile twice: all rounded to 8 bits, and after
//               them what that rounding left of each, rounded to 8 bits. The sums of both are added.
//   plain       [tile][input][row of the tile] float
// The arrangement changes where numbers lie, never which are added in which order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/panel_layout.h"

namespace fovea::kernels {

inline constexpr int kTileRows = 12;
// How many times 8 bits an activation gets where weights are quantized.
enum class Digits : uint8_t { one = 1, two = 2 };
[[gnu::always_inline]] constexpr int count_of(Digits digits) { return static_cast<int>(digits); }
// Rows up to which a panel is read in its packed form; more rows than that pay for unfolding it once.
inline constexpr int kFewRows = 12;

// 32 activations as 8-bit integers with one scale, and what the kernels need to take offsets off:
// value[i] = scale * q[i], scale = max|value| / 127. The sums are those of the unbiased numbers.
struct QuantBlock {
  int8_t q[kBlockInputs];  // biased: q[i] + 128 as an unsigned byte
  float scale;
  int32_t negative_sum;        // -(q[0] + .. + q[31])
  int32_t negative_sum_first;  // -(q[0] + .. + q[15])
  float negative_scaled_sum;   // scale * negative_sum
};
static_assert(sizeof(QuantBlock) == 48);
// Blocks whose largest number is not above it count as zero: its inverse could be infinite.
inline constexpr float kLeastBlockMaximum = 1e-30f;

constexpr size_t quant_tiles_bytes(int rows, int inputs) {
  return static_cast<size_t>(rows) * static_cast<size_t>(inputs / kBlockInputs) * sizeof(QuantBlock);
}
constexpr size_t plain_tiles_bytes(int rows, int inputs) { return static_cast<size_t>(rows) * static_cast<size_t>(inputs) * sizeof(float); }

}  // namespace fovea::kernels
