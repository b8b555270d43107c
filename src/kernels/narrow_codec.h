// What narrow codecs store of a vector (a part of a key, or a value). kernels/kv_layout.h says where it lies.
//
//   fp8    each number as e4m3 (1 sign, 4 exponent, 3 mantissa bits; no infinity), as OCP's "8-bit Floating Point Specification" has it;
//          larger numbers become 448
//   int8   rotated; whole numbers of a scale: the largest becomes 127
//   int4   rotated; 16 levels at equal distances, as wide as the largest number needs
//   tq4, tq3, tq2  rotated; 16, 8 or 4 levels that fit normally distributed numbers best (Lloyd-Max), times their root mean square:
//          Zandieh et al., "TurboQuant: Online Vector Quantization with Near-optimal Distortion Rate" (arXiv:2504.19874)
//
// The scale of levels is chosen when the codes are known: for a value, that which brings the levels closest to it; for a key, that which
// makes products with the key itself exact. (The closest would be a little short, and all scores with it.)
//
// Rotation spreads what a vector has in few dimensions over all of them, so that one scale fits; numbers then look normally
// distributed whatever the vector was. Queries are rotated like keys, which leaves scores as they are, and what was gathered of
// values is rotated back once. Of n = m * 2^k dimensions (m odd), in this order:
//   x_i *= sign_i * 2^(-k/2)                      signs of a fixed pseudo-random sequence
//   Hadamard on each block of 2^k neighbours      (a, b) -> (a + b, a - b) at distances 1, 2, .., 2^(k-1)
//   m > 1: across the m blocks  x_b -= 2/m * (x_0 + .. + x_(m-1))      a reflection (Householder), summed in ascending order
// Each step is its own inverse but for the signs, so that rotating back is the same with the signs last.
//
// A vector with a NaN has the scale NaN. All numbers of a vector below 1e-30 count as 0.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "kernels/kv_layout.h"

namespace fovea::kernels {

inline constexpr int kMostLevels = 16;
inline constexpr float kLeastStored = 1e-30f;
inline constexpr float kLeastFactor = 0x1p-126f;  // weights times scales below count as 0

namespace narrow_codec {

constexpr float rounded_to_bf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);
}

}  // namespace narrow_codec

// Levels of codes below 8 bits.
struct KvLevels {
  int levels = 0;
  std::array<float, kMostLevels> values = {};      // ascending, numbers of bf16
  std::array<float, kMostLevels - 1> bounds = {};  // the code of x is how many bounds are not above x
  std::array<uint16_t, 32> stored = {};            // values in bf16, repeated: an index may have more bits than a code

  // From the upper half; the lower is its mirror image.
  template <size_t kHalf> static constexpr KvLevels mirrored(const float (&upper)[kHalf], const float (&upper_bounds)[kHalf]) {
    KvLevels book;
    book.levels = 2 * kHalf;
    for (size_t i = 0; i < kHalf; ++i) {
      book.values[kHalf + i] = narrow_codec::rounded_to_bf16(upper[i]);
      book.values[kHalf - 1 - i] = -book.values[kHalf + i];
      book.bounds[kHalf - 1 + i] = upper_bounds[i];
      book.bounds[kHalf - 1 - i] = -upper_bounds[i];
    }
    for (size_t i = 0; i < book.stored.size(); ++i) {
      book.stored[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(book.values[i % (2 * kHalf)]) >> 16);
    }
    return book;
  }
};

// J. Max, "Quantizing for minimum distortion" (1960), table I: the best levels for a normal distribution of variance 1.
inline constexpr KvLevels kNormal16 = KvLevels::mirrored({0.1284f, 0.3881f, 0.6568f, 0.9424f, 1.256f, 1.618f, 2.069f, 2.733f},
                                                         {0.0f, 0.2582f, 0.5224f, 0.7996f, 1.099f, 1.437f, 1.844f, 2.401f});
inline constexpr KvLevels kNormal8 = KvLevels::mirrored({0.2451f, 0.7560f, 1.344f, 2.152f}, {0.0f, 0.5006f, 1.050f, 1.748f});
inline constexpr KvLevels kNormal4 = KvLevels::mirrored({0.4528f, 1.510f}, {0.0f, 0.9816f});
// Of numbers divided by their largest.
inline constexpr KvLevels kEven16 = KvLevels::mirrored({0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f}, {0, 1, 2, 3, 4, 5, 6, 7});

// REQUIRES a scaled codec below 8 bits
[[gnu::always_inline]] inline const KvLevels& kv_levels(KvCodec codec) {
  return codec == KvCodec::int4 ? kEven16 : codec == KvCodec::tq4 ? kNormal16 : codec == KvCodec::tq3 ? kNormal8 : kNormal4;
}

// Round to nearest even, the largest number beyond it.
[[gnu::always_inline]] inline uint8_t fp8_from_float(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  const uint32_t sign = bits >> 24 & 0x80u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint8_t>(sign | 0x7fu);
  if (magnitude >= 0x43e00000u) return static_cast<uint8_t>(sign | 0x7eu);
  if (magnitude < 0x3c800000u) {  // below 2^-6, multiples of 2^-9: adding 2^14 aligns the mantissa and rounds it
    float aligned;
    __builtin_memcpy(&aligned, &magnitude, 4);
    aligned += 16384.0f;
    __builtin_memcpy(&bits, &aligned, 4);
    return static_cast<uint8_t>(sign | (bits - 0x46800000u));
  }
  const uint32_t rounded = magnitude + 0x7ffffu + (magnitude >> 20 & 1u);
  return static_cast<uint8_t>(sign | ((rounded >> 20) - (120u << 3)));
}

// Signs of the rotation, by dimension.
inline constexpr std::array<float, kMostNarrowDim> kSigns = [] {
  std::array<float, kMostNarrowDim> signs{};
  uint64_t state = 0x9e3779b97f4a7c15u;  // xorshift64*: any fixed sequence
  for (float& sign : signs) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    sign = (state * 0x2545f4914f6cdd1du) >> 63 ? -1.0f : 1.0f;
  }
  return signs;
}();

// n = blocks * 2^log2_width, blocks odd.
struct RotationShape {
  int width, blocks;
  float factor;  // 2^(-log2_width / 2)

  [[gnu::always_inline]] explicit RotationShape(int n) : width(n & -n), blocks(n / (n & -n)), factor(1) {
    int w = width;
    for (; w >= 4; w /= 4) factor *= 0.5f;
    if (w == 2) factor *= 0.70710678f;
  }
};

}  // namespace fovea::kernels
