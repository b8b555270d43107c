// How a weight matrix is packed for the kernels, and what its numbers mean.
//
// A matrix W [outputs][inputs] becomes panels of 16 outputs. In a panel the lanes of a vector are outputs, so one token and 512
// tokens run the same arithmetic and no kernel ever sums across lanes. A quantized panel is a run of groups, each
//
//   headers   one per block of block_values inputs: scales (and minima) of the 16 outputs; padded to whole cache lines
//   quants    per 32 inputs: 8 vectors' worth of bits; vector k4 holds, for output c, inputs 4*k4 .. 4*k4+3 in bytes 4c .. 4c+3
//
// so that whoever reads a matrix reads memory from front to back: with all headers of a panel ahead of its quants the
// processor's prefetchers lost track between the two streams, and one row ran at half the speed of memory. Groups are
// 256 inputs where those share a header, else as many blocks as fill a cache line with their headers; the last may be short of quants.
//
// with the bits above the low 8, 4 or 2 in lines of their own ahead of these, and nibbles, pairs and single bits folded so that a shift and
// a mask unfold a whole vector:
//   8 bits    vector k4 as it is
//   4 bits    line i (of 4):  low nibble -> vector i, high nibble -> vector i + 4
//   2 bits    line i (of 2):  bits 2s, 2s+1 -> vector i + 2s
//   1 bit     one line:       bit k4 -> vector k4
// A value is scale * (q - zero) - min, with q as stored (unsigned), or codebook[stored] where the format has a codebook. Plain
// formats (f32, f16, bf16) are [inputs][16].
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/number_format.h"

namespace fovea::kernels {

// The functions of this header are forced inline: a copy compiled for a newer instruction set must never be the one
// that the linker keeps for everybody.
inline constexpr int kPanelOutputs = 16;
inline constexpr int kBlockInputs = 32;  // inputs that share one scale of the activations

// Which numbers the 4-bit codes of a format stand for.
enum class Codebook : uint8_t { none, iq4, e2m1 };

// The numbers of a codebook, with the format's zero added to make them unsigned.
inline constexpr uint8_t kIq4Codebook[16] = {128 - 127, 128 - 104, 128 - 83, 128 - 65, 128 - 49, 128 - 35, 128 - 22, 128 - 10,
                                             128 + 1,   128 + 13,  128 + 25, 128 + 38, 128 + 53, 128 + 69, 128 + 89, 128 + 113};
inline constexpr uint8_t kE2m1Codebook[16] = {  // twice the sixteen numbers of e2m1
    16 + 0, 16 + 1, 16 + 2, 16 + 3, 16 + 4, 16 + 6, 16 + 8, 16 + 12, 16 - 0, 16 - 1, 16 - 2, 16 - 3, 16 - 4, 16 - 6, 16 - 8, 16 - 12};
[[gnu::always_inline]] constexpr const uint8_t* numbers_of(Codebook codebook) {
  return codebook == Codebook::iq4 ? kIq4Codebook : kE2m1Codebook;
}

struct PanelTraits {
  bool quantized = false;
  int low_bits = 0;      // 8, 4 or 2
  int high_bits = 0;     // 0, 1 or 2 more bits on top of the low ones, kept apart
  int scale_inputs = 0;  // inputs that share one scale: 32 or 16
  bool has_min = false;
  int zero = 0;          // a power of two, or 0; 128: q may use all 8 bits
  int block_values = 1;  // inputs that share a header
  int header_bytes = 0;  // of 16 outputs
  Codebook codebook = Codebook::none;
  int d_bytes = 2;  // of one output's d: an f16, or one byte e that stands for 2^(e - 128)

  // Small scales (and minima) that an output has in a header, one byte each.
  [[gnu::always_inline]] constexpr int small_scales() const { return header_bytes / kPanelOutputs - d_bytes - (has_min ? 2 : 0); }
};

[[gnu::always_inline]] constexpr PanelTraits panel_traits(NumberFormat format) {
  // header: d [16], then min as f16 [16]; blocks of 256 add their small scales, one byte each: [scales][16]
  switch (format) {
    case NumberFormat::q8_0:
      return {true, 8, 0, 32, false, 128, 32, 32};
    case NumberFormat::q4_0:
      return {true, 4, 0, 32, false, 8, 32, 32};
    case NumberFormat::q4_1:
      return {true, 4, 0, 32, true, 0, 32, 64};
    case NumberFormat::q5_0:
      return {true, 4, 1, 32, false, 16, 32, 32};
    case NumberFormat::q5_1:
      return {true, 4, 1, 32, true, 0, 32, 64};
    case NumberFormat::q2_k:
      return {true, 2, 0, 16, true, 0, 256, 64 + 256};  // scale | min << 4 in one byte
    case NumberFormat::q3_k:
      return {true, 2, 1, 16, false, 4, 256, 32 + 256};
    case NumberFormat::q4_k:
      return {true, 4, 0, 32, true, 0, 256, 64 + 256};  // scales [8][16], then minima [8][16]
    case NumberFormat::q5_k:
      return {true, 4, 1, 32, true, 0, 256, 64 + 256};
    case NumberFormat::q6_k:
      return {true, 4, 2, 16, false, 32, 256, 32 + 256};
    case NumberFormat::iq4_nl:
      return {true, 4, 0, 32, false, 128, 32, 32, Codebook::iq4};
    case NumberFormat::iq4_xs:
      return {true, 4, 0, 32, false, 128, 256, 32 + 128, Codebook::iq4};
    case NumberFormat::mxfp4:
      return {true, 4, 0, 32, false, 16, 32, 16, Codebook::e2m1, 1};
    default:
      return {};
  }
}

[[gnu::always_inline]] constexpr bool is_quantized(NumberFormat format) { return panel_traits(format).quantized; }

// Bytes of the quants of 32 inputs x 16 outputs.
[[gnu::always_inline]] constexpr size_t block_quant_bytes(const PanelTraits& t) {
  return static_cast<size_t>(64 * (t.low_bits + t.high_bits));
}
// Blocks of 32 inputs in one group.
[[gnu::always_inline]] constexpr int group_blocks(const PanelTraits& t) {
  return t.block_values > kBlockInputs ? t.block_values / kBlockInputs : t.header_bytes < 64 ? 64 / t.header_bytes : 1;
}
[[gnu::always_inline]] constexpr size_t group_header_bytes(const PanelTraits& t) {
  const int headers = group_blocks(t) * kBlockInputs / t.block_values;
  return static_cast<size_t>((headers * t.header_bytes + 63) / 64 * 64);
}
[[gnu::always_inline]] constexpr size_t group_bytes(const PanelTraits& t) {
  return group_header_bytes(t) + static_cast<size_t>(group_blocks(t)) * block_quant_bytes(t);
}
// Where the header and the quants of a block of 32 inputs begin in a panel.
[[gnu::always_inline]] constexpr size_t header_offset(const PanelTraits& t, int block) {
  const int inside = block % group_blocks(t) * kBlockInputs / t.block_values;
  return static_cast<size_t>(block / group_blocks(t)) * group_bytes(t) + static_cast<size_t>(inside * t.header_bytes);
}
[[gnu::always_inline]] constexpr size_t quants_offset(const PanelTraits& t, int block) {
  return static_cast<size_t>(block / group_blocks(t)) * group_bytes(t) + group_header_bytes(t) +
         static_cast<size_t>(block % group_blocks(t)) * block_quant_bytes(t);
}
[[gnu::always_inline]] constexpr size_t panel_bytes(NumberFormat format, int inputs) {
  const PanelTraits t = panel_traits(format);
  if (!t.quantized) return static_cast<size_t>(inputs) * kPanelOutputs * (format == NumberFormat::f32 ? 4 : 2);
  const int blocks = inputs / kBlockInputs, groups = (blocks + group_blocks(t) - 1) / group_blocks(t);
  return static_cast<size_t>(groups) * group_header_bytes(t) + static_cast<size_t>(blocks) * block_quant_bytes(t);
}

}  // namespace fovea::kernels
