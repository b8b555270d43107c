#include "conversion/quantize_k.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "conversion/scale_fit.h"

namespace fovea::conversion {
namespace {

float as_stored(float value) { return float_from_f16(f16_from_float(value)); }
float inverse_of(float scale) { return scale == 0 ? 0 : 1 / scale; }

void put_half(uint8_t* at, float value) {
  const uint16_t half = f16_from_float(value);
  std::memcpy(at, &half, 2);
}

// Signed scales of groups as multiples of one number: scale[g] ~ d * small[g].
template <size_t Groups> struct SmallScales {
  float d = 0;
  std::array<int, Groups> small = {};
  float of(size_t g) const { return d * static_cast<float>(small[g]); }
};

// The largest scale becomes -levels.
template <size_t Groups> SmallScales<Groups> small_scales(const std::array<float, Groups>& scales, int levels) {
  const float largest = *std::max_element(scales.begin(), scales.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  SmallScales<Groups> result;
  result.d = as_stored(largest / static_cast<float>(-levels));
  const float inverse = inverse_of(result.d);
  for (size_t g = 0; g < Groups; ++g) result.small[g] = rounded(scales[g] * inverse, -levels, levels - 1);
  return result;
}

template <size_t Groups> std::array<float, Groups> fitted_scales(LargeBlock x, int levels) {
  std::array<float, Groups> scales;
  for (size_t g = 0; g < Groups; ++g) scales[g] = fit_scale(x.subspan(g * (256 / Groups), 256 / Groups), levels);
  return scales;
}

// Scales and minima of groups, not negative, as multiples of one number each.
template <size_t Groups> struct SmallPairs {
  float d = 0, d_min = 0;
  std::array<uint8_t, Groups> scale = {}, min = {};
};

template <size_t Groups> SmallPairs<Groups> fitted_pairs(LargeBlock x, int most, int most_small) {
  std::array<ScaleAndOffset, Groups> fits;
  float largest_scale = 0, largest_min = 0;
  for (size_t g = 0; g < Groups; ++g) {
    fits[g] = fit_scale_and_offset(x.subspan(g * (256 / Groups), 256 / Groups), most, false);
    largest_scale = std::max(largest_scale, fits[g].scale);
    largest_min = std::max(largest_min, -fits[g].offset);
  }
  SmallPairs<Groups> pairs;
  pairs.d = as_stored(largest_scale / static_cast<float>(most_small));
  pairs.d_min = as_stored(largest_min / static_cast<float>(most_small));
  const float inverse = inverse_of(pairs.d), inverse_min = inverse_of(pairs.d_min);
  for (size_t g = 0; g < Groups; ++g) {
    pairs.scale[g] = static_cast<uint8_t>(rounded(fits[g].scale * inverse, 0, most_small));
    pairs.min[g] = static_cast<uint8_t>(rounded(-fits[g].offset * inverse_min, 0, most_small));
  }
  return pairs;
}

template <size_t Groups> void round_by_pairs(LargeBlock x, const SmallPairs<Groups>& pairs, int most, uint8_t* q) {
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t g = i / (256 / Groups);
    const float inverse = inverse_of(pairs.d * pairs.scale[g]);
    q[i] = static_cast<uint8_t>(rounded((x[i] + pairs.d_min * pairs.min[g]) * inverse, 0, most));
  }
}

// Pairs of bits: value 128 n + 32 j + l is bits 2j of byte 32 n + l.
void put_bit_pairs(const uint8_t* q, uint8_t* to) {
  for (int n = 0; n < 2; ++n) {
    for (int l = 0; l < 32; ++l) {
      const uint8_t* of = q + 128 * n + l;
      to[32 * n + l] = static_cast<uint8_t>((of[0] & 3) | (of[32] & 3) << 2 | (of[64] & 3) << 4 | (of[96] & 3) << 6);
    }
  }
}

// Eight scales and eight minima of 6 bits in 12 bytes.
void put_six_bit_pairs(const SmallPairs<8>& pairs, uint8_t* to) {
  for (size_t j = 0; j < 4; ++j) {
    to[j] = static_cast<uint8_t>(pairs.scale[j] | pairs.scale[j + 4] >> 4 << 6);
    to[j + 4] = static_cast<uint8_t>(pairs.min[j] | pairs.min[j + 4] >> 4 << 6);
    to[j + 8] = static_cast<uint8_t>((pairs.scale[j + 4] & 15) | (pairs.min[j + 4] & 15) << 4);
  }
}

// Nibbles of q4_k and q5_k: low halves are 32 values, high halves the next 32.
void put_wide_nibbles(const uint8_t* q, uint8_t* to) {
  for (int j = 0; j < 4; ++j) {
    for (int l = 0; l < 32; ++l) to[32 * j + l] = static_cast<uint8_t>((q[64 * j + l] & 15) | (q[64 * j + 32 + l] & 15) << 4);
  }
}

}  // namespace

void to_q2_k(LargeBlock x, uint8_t* to) {
  const SmallPairs<16> pairs = fitted_pairs<16>(x, 3, 15);
  uint8_t q[256];
  round_by_pairs(x, pairs, 3, q);
  for (size_t g = 0; g < 16; ++g) to[g] = static_cast<uint8_t>(pairs.scale[g] | pairs.min[g] << 4);
  put_bit_pairs(q, to + 16);
  put_half(to + 80, pairs.d);
  put_half(to + 82, pairs.d_min);
}

void to_q3_k(LargeBlock x, uint8_t* to) {
  const SmallScales<16> scales = small_scales(fitted_scales<16>(x, 4), 32);
  uint8_t q[256];
  for (size_t i = 0; i < x.size(); ++i) q[i] = static_cast<uint8_t>(rounded(x[i] * inverse_of(scales.of(i / 16)), -4, 3) + 4);
  std::fill(to, to + 32, uint8_t{0});
  for (int i = 0; i < 256; ++i) to[i % 32] = static_cast<uint8_t>(to[i % 32] | (q[i] >> 2) << (i / 32));
  put_bit_pairs(q, to + 32);
  uint8_t* packed = to + 96;
  std::fill(packed, packed + 12, uint8_t{0});
  for (size_t g = 0; g < 16; ++g) {  // 4 low bits in bytes 0..7, 2 high bits in bytes 8..11
    const int small = scales.small[g] + 32;
    packed[g % 8] = static_cast<uint8_t>(packed[g % 8] | (small & 15) << (4 * (g / 8)));
    packed[8 + g % 4] = static_cast<uint8_t>(packed[8 + g % 4] | (small >> 4) << (2 * (g / 4)));
  }
  put_half(to + 108, scales.d);
}

void to_q4_k(LargeBlock x, uint8_t* to) {
  const SmallPairs<8> pairs = fitted_pairs<8>(x, 15, 63);
  uint8_t q[256];
  round_by_pairs(x, pairs, 15, q);
  put_half(to, pairs.d);
  put_half(to + 2, pairs.d_min);
  put_six_bit_pairs(pairs, to + 4);
  put_wide_nibbles(q, to + 16);
}

void to_q5_k(LargeBlock x, uint8_t* to) {
  const SmallPairs<8> pairs = fitted_pairs<8>(x, 31, 63);
  uint8_t q[256];
  round_by_pairs(x, pairs, 31, q);
  put_half(to, pairs.d);
  put_half(to + 2, pairs.d_min);
  put_six_bit_pairs(pairs, to + 4);
  for (int l = 0; l < 32; ++l) {
    int high = 0;
    for (int g = 0; g < 8; ++g) high |= (q[32 * g + l] >> 4) << g;
    to[16 + l] = static_cast<uint8_t>(high);
  }
  put_wide_nibbles(q, to + 48);
}

void to_q6_k(LargeBlock x, uint8_t* to) {
  const SmallScales<16> scales = small_scales(fitted_scales<16>(x, 32), 128);
  uint8_t q[256];
  for (size_t i = 0; i < x.size(); ++i) q[i] = static_cast<uint8_t>(rounded(x[i] * inverse_of(scales.of(i / 16)), -32, 31) + 32);
  for (int n = 0; n < 2; ++n) {
    const uint8_t* of = q + 128 * n;
    for (int l = 0; l < 32; ++l) {
      to[64 * n + l] = static_cast<uint8_t>((of[l] & 15) | (of[l + 64] & 15) << 4);
      to[64 * n + 32 + l] = static_cast<uint8_t>((of[l + 32] & 15) | (of[l + 96] & 15) << 4);
      to[128 + 32 * n + l] = static_cast<uint8_t>(of[l] >> 4 | of[l + 32] >> 4 << 2 | of[l + 64] >> 4 << 4 | of[l + 96] >> 4 << 6);
    }
  }
  for (size_t g = 0; g < 16; ++g) to[192 + g] = static_cast<uint8_t>(static_cast<int8_t>(scales.small[g]));
  put_half(to + 208, scales.d);
}

void to_iq4_xs(LargeBlock x, uint8_t* to) {
  std::array<float, 8> fits;
  for (size_t g = 0; g < 8; ++g) fits[g] = fit_codes(x.subspan(32 * g, 32), kIq4Codes);
  const SmallScales<8> scales = small_scales(fits, 32);
  put_half(to, scales.d);
  uint16_t high = 0;
  std::fill(to + 4, to + 8, uint8_t{0});
  for (size_t g = 0; g < 8; ++g) {
    const int small = scales.small[g] + 32;
    high = static_cast<uint16_t>(high | (small >> 4) << (2 * g));
    to[4 + g / 2] = static_cast<uint8_t>(to[4 + g / 2] | (small & 15) << (4 * (g % 2)));
    uint8_t q[32];
    const float inverse = inverse_of(scales.of(g));
    for (size_t i = 0; i < 32; ++i) q[i] = static_cast<uint8_t>(nearest_code(x[32 * g + i] * inverse, kIq4Codes));
    for (size_t j = 0; j < 16; ++j) to[8 + 16 * g + j] = static_cast<uint8_t>(q[j] | q[j + 16] << 4);
  }
  std::memcpy(to + 2, &high, 2);
}

}  // namespace fovea::conversion
