#include "conversion/quantize.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "conversion/quantize_k.h"
#include "conversion/scale_fit.h"

namespace fovea::conversion {
namespace {

using Values = std::span<const float, 32>;

void put_half(uint8_t* at, float value) {
  const uint16_t half = f16_from_float(value);
  std::memcpy(at, &half, 2);
}

// What the reader will multiply by.
float as_stored(float value) { return float_from_f16(f16_from_float(value)); }

float inverse_of(float scale) { return scale == 0 ? 0 : 1 / scale; }

// Low nibbles are the first sixteen values, high nibbles the others.
void put_nibbles(const uint8_t* q, uint8_t* to) {
  for (int j = 0; j < 16; ++j) to[j] = static_cast<uint8_t>((q[j] & 15) | (q[j + 16] & 15) << 4);
}

void put_fifth_bits(const uint8_t* q, uint8_t* to) {
  uint32_t bits = 0;
  for (int j = 0; j < 32; ++j) bits |= static_cast<uint32_t>(q[j] >> 4 & 1) << j;
  std::memcpy(to, &bits, 4);
}

void to_q8_0(Values x, uint8_t* to) {
  float largest = 0;
  for (const float value : x) largest = std::max(largest, std::abs(value));
  const float scale = largest / 127, inverse = inverse_of(scale);
  put_half(to, scale);
  for (size_t i = 0; i < x.size(); ++i) to[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(rounded(x[i] * inverse, -127, 127)));
}

// q4_0 and q5_0: d, then for five bits their highest, then nibbles.
void to_signed(Values x, int levels, uint8_t* to) {
  const float scale = as_stored(fit_scale(x, levels)), inverse = inverse_of(scale);
  uint8_t q[32];
  for (size_t i = 0; i < x.size(); ++i) q[i] = static_cast<uint8_t>(rounded(x[i] * inverse, -levels, levels - 1) + levels);
  put_half(to, scale);
  if (levels == 16) put_fifth_bits(q, to + 2);
  put_nibbles(q, to + (levels == 16 ? 6 : 2));
}

// q4_1 and q5_1: d, m, then as above.
void to_offset(Values x, int most, uint8_t* to) {
  const ScaleAndOffset fit = fit_scale_and_offset(x, most, true);
  const float scale = as_stored(fit.scale), offset = as_stored(fit.offset), inverse = inverse_of(scale);
  uint8_t q[32];
  for (size_t i = 0; i < x.size(); ++i) q[i] = static_cast<uint8_t>(rounded((x[i] - offset) * inverse, 0, most));
  put_half(to, scale);
  put_half(to + 2, offset);
  if (most == 31) put_fifth_bits(q, to + 4);
  put_nibbles(q, to + (most == 31 ? 8 : 4));
}

void to_iq4_nl(Values x, uint8_t* to) {
  const float scale = as_stored(fit_codes(x, kIq4Codes)), inverse = inverse_of(scale);
  uint8_t q[32];
  for (size_t i = 0; i < x.size(); ++i) q[i] = static_cast<uint8_t>(nearest_code(x[i] * inverse, kIq4Codes));
  put_half(to, scale);
  put_nibbles(q, to + 2);
}

void quantize_block(NumberFormat format, const float* x, uint8_t* to) {
  const auto small = [&] { return Values(x, 32); };
  const auto large = [&] { return std::span<const float, 256>(x, 256); };
  switch (format) {
    case NumberFormat::f32:
      std::memcpy(to, x, sizeof *x);
      return;
    case NumberFormat::f16:
      put_half(to, *x);
      return;
    case NumberFormat::bf16: {
      const uint16_t half = bf16_from_float(*x);
      std::memcpy(to, &half, 2);
      return;
    }
    case NumberFormat::q8_0:
      return to_q8_0(small(), to);
    case NumberFormat::q4_0:
      return to_signed(small(), 8, to);
    case NumberFormat::q5_0:
      return to_signed(small(), 16, to);
    case NumberFormat::q4_1:
      return to_offset(small(), 15, to);
    case NumberFormat::q5_1:
      return to_offset(small(), 31, to);
    case NumberFormat::iq4_nl:
      return to_iq4_nl(small(), to);
    case NumberFormat::q2_k:
      return to_q2_k(large(), to);
    case NumberFormat::q3_k:
      return to_q3_k(large(), to);
    case NumberFormat::q4_k:
      return to_q4_k(large(), to);
    case NumberFormat::q5_k:
      return to_q5_k(large(), to);
    case NumberFormat::q6_k:
      return to_q6_k(large(), to);
    case NumberFormat::iq4_xs:
      return to_iq4_xs(large(), to);
    case NumberFormat::mxfp4:
      break;
  }
  assert(false && "a format that is only read");
}

}  // namespace

bool can_quantize(NumberFormat format) { return format != NumberFormat::mxfp4; }

void quantize(NumberFormat format, std::span<const float> values, std::byte* out) {
  const NumberFormatFacts& stored = facts(format);
  assert(can_quantize(format) && values.size() % stored.block_values == 0);
  auto* to = reinterpret_cast<uint8_t*>(out);
  for (size_t i = 0; i < values.size(); i += stored.block_values, to += stored.block_bytes) quantize_block(format, &values[i], to);
}

}  // namespace fovea::conversion
