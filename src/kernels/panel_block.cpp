#include "kernels/panel_block.h"

#include <cassert>
#include <cmath>
#include <cstring>

#include "base/half.h"

namespace fovea::kernels {
namespace {

// The unsigned value of input k (of 32), put together from its low and high bits, or looked up.
int unfold(const PanelTraits& t, const uint8_t* quants, int k, int output) {
  const int vector = k / 4, byte = 4 * output + k % 4;
  int value = 0;
  const uint8_t* high = quants;
  quants += 64 * t.high_bits;
  if (t.low_bits == 8) value = quants[64 * vector + byte];
  if (t.low_bits == 4) value = (quants[64 * (vector % 4) + byte] >> (4 * (vector / 4))) & 15;
  if (t.low_bits == 2) value = (quants[64 * (vector % 2) + byte] >> (2 * (vector / 2))) & 3;
  if (t.high_bits == 1) value |= ((high[byte] >> vector) & 1) << t.low_bits;
  if (t.high_bits == 2) value |= ((high[64 * (vector % 2) + byte] >> (2 * (vector / 2))) & 3) << t.low_bits;
  return t.codebook == Codebook::none ? value : numbers_of(t.codebook)[value];
}

float half_at(const uint8_t* header, int output) {
  uint16_t half;
  std::memcpy(&half, header + 2 * output, 2);
  return float_from_f16(half);
}

float read_d(const PanelTraits& t, const uint8_t* header, int output) {
  return t.d_bytes == 2 ? half_at(header, output) : std::ldexp(1.0f, header[output] - 128);
}

void read_k_scales(NumberFormat format, const uint8_t* header, int part, int output, PanelBlock& result) {
  const float d = half_at(header, output);
  if (format == NumberFormat::q4_k || format == NumberFormat::q5_k) {
    const uint8_t* small = header + 64;
    result.scales[0] = d * static_cast<float>(small[16 * part + output]);
    result.minima[0] = half_at(header + 32, output) * static_cast<float>(small[16 * (8 + part) + output]);
    return;
  }
  const int scales = kBlockInputs / panel_traits(format).scale_inputs;
  for (int h = 0; h < scales; ++h) {
    const int at = 16 * (scales * part + h) + output;
    if (format == NumberFormat::q2_k) {
      const uint8_t small = header[64 + at];
      result.scales[h] = d * static_cast<float>(small & 15);
      result.minima[h] = half_at(header + 32, output) * static_cast<float>(small >> 4);
    } else {
      result.scales[h] = d * static_cast<float>(static_cast<int8_t>(header[32 + at]));
    }
  }
}

}  // namespace

void read_panel_block(NumberFormat format, const std::byte* panel, int block, int output, PanelBlock& result) {
  const PanelTraits t = panel_traits(format);
  assert(t.quantized && output < kPanelOutputs);
  const auto* base = reinterpret_cast<const uint8_t*>(panel);
  const uint8_t* quants = base + quants_offset(t, block);
  for (int k = 0; k < kBlockInputs; ++k) result.q[k] = unfold(t, quants, k, output) - t.zero;

  const uint8_t* header = base + header_offset(t, block);
  result.minima[0] = result.minima[1] = 0;
  if (t.block_values == 256) {
    read_k_scales(format, header, block % group_blocks(t), output, result);
  } else {
    result.scales[0] = read_d(t, header, output);
    if (t.has_min) result.minima[0] = -half_at(header + 32, output);  // stored: value = d q + m
  }
  if (t.scale_inputs == kBlockInputs) {
    result.scales[1] = result.scales[0];
    result.minima[1] = result.minima[0];
  }
}

float read_panel_value(NumberFormat format, const std::byte* panel, int input, int output) {
  const size_t at = static_cast<size_t>(input) * kPanelOutputs + static_cast<size_t>(output);
  if (format == NumberFormat::f32) {
    float value;
    std::memcpy(&value, panel + 4 * at, 4);
    return value;
  }
  uint16_t half;
  std::memcpy(&half, panel + 2 * at, 2);
  return format == NumberFormat::f16 ? float_from_f16(half) : float_from_bf16(half);
}

}  // namespace fovea::kernels
