// Codes of narrow codecs -> bf16, and what rotating and encoding need. Included by kernels.cpp of this folder only.
#pragma once

#include "kernels/avx2/simd.h"

namespace fovea::kernels::avx2 {
namespace {

// Lane i of lane i ^ kDistance.
template <int kDistance> inline F32x16 swap_lanes(F32x16 a) {
  if constexpr (kDistance == 8) return {a.hi, a.lo};
  if constexpr (kDistance == 4) return {_mm256_permute2f128_ps(a.lo, a.lo, 1), _mm256_permute2f128_ps(a.hi, a.hi, 1)};
  constexpr int kOrder = kDistance == 1 ? 0xb1 : 0x4e;
  return {_mm256_permute_ps(a.lo, kOrder), _mm256_permute_ps(a.hi, kOrder)};
}
// Lanes whose number has the bit kDistance, negated.
template <int kDistance> inline F32x16 negate_upper(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  if constexpr (kDistance == 8) return {a.lo, _mm256_xor_ps(a.hi, sign)};
  constexpr int kUpper = kDistance == 1 ? 0xaa : kDistance == 2 ? 0xcc : 0xf0;
  const __m256 flip = _mm256_blend_ps(_mm256_setzero_ps(), sign, kUpper);
  return {_mm256_xor_ps(a.lo, flip), _mm256_xor_ps(a.hi, flip)};
}
// table[code] for 16 numbers of table and whole codes below 16
inline F32x16 pick(const float* table, F32x16 code) {
  const __m256 lower = _mm256_loadu_ps(table), upper = _mm256_loadu_ps(table + 8), eight = _mm256_set1_ps(8);
  const auto picked = [&](__m256 codes) {
    const __m256i index = _mm256_cvtps_epi32(codes);  // its lower three bits count
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(lower, index), _mm256_permutevar8x32_ps(upper, index),
                            _mm256_cmp_ps(codes, eight, _CMP_GE_OQ));
  };
  return {picked(code.lo), picked(code.hi)};
}
// 0 where a < bound; NaN stays
inline F32x16 zero_where_below(F32x16 a, F32x16 bound) {
  return {_mm256_andnot_ps(_mm256_cmp_ps(a.lo, bound.lo, _CMP_LT_OQ), a.lo),
          _mm256_andnot_ps(_mm256_cmp_ps(a.hi, bound.hi, _CMP_LT_OQ), a.hi)};
}

struct U16x32 {
  __m256i lo, hi;
};

inline void store_words(uint16_t* p, U16x32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 16), a.hi);
}
inline __m128i load_16_bytes(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline U16x32 widened_bytes(const uint8_t* p) {
  return {_mm256_cvtepu8_epi16(load_16_bytes(p)), _mm256_cvtepu8_epi16(load_16_bytes(p + 16))};
}
// Lanes of a group of four vectors of kBits bits.
template <int kBits, bool kKeys> inline U16x32 load_group(const uint8_t* p) {
  if constexpr (kBits == 4) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
  }
  const U16x32 lower = widened_bytes(p);
  if constexpr (kBits == 2) return lower;
  const __m128i upper = load_16_bytes(p + 32);
  if constexpr (kKeys) {
    const auto spread = [](__m128i bytes) {
      const __m256i both = _mm256_cvtepu8_epi32(bytes);
      return _mm256_or_si256(_mm256_and_si256(_mm256_slli_epi32(both, 8), _mm256_set1_epi32(0x00000f00)),
                             _mm256_and_si256(_mm256_slli_epi32(both, 20), _mm256_set1_epi32(0x0f000000)));
    };
    return {_mm256_or_si256(lower.lo, spread(upper)), _mm256_or_si256(lower.hi, spread(_mm_srli_si128(upper, 8)))};
  }
  const __m256i both = _mm256_cvtepu8_epi16(upper), mask = _mm256_set1_epi16(0x0f00);
  return {_mm256_or_si256(lower.lo, _mm256_and_si256(_mm256_slli_epi16(both, 8), mask)),
          _mm256_or_si256(lower.hi, _mm256_and_si256(_mm256_slli_epi16(both, 4), mask))};
}

struct LevelTable {
  __m256i low_bytes, high_bytes;
};
// 32 numbers of bf16, repeated as often as they fit
inline LevelTable load_levels(const uint16_t* p) {
  alignas(16) uint8_t low[16], high[16];
  for (int i = 0; i < 16; ++i) {
    low[i] = static_cast<uint8_t>(p[i]);
    high[i] = static_cast<uint8_t>(p[i] >> 8);
  }
  return {_mm256_broadcastsi128_si256(load_16_bytes(low)), _mm256_broadcastsi128_si256(load_16_bytes(high))};
}
// The levels of vector kVector of a group.
template <int kBits, int kVector> inline U16x32 levels_of(U16x32 group, LevelTable table) {
  const __m256i mask = _mm256_set1_epi16((1 << kBits) - 1);
  const auto picked = [&](__m256i lanes) {
    const __m256i index = _mm256_and_si256(_mm256_srli_epi16(lanes, kBits * kVector), mask);
    const __m256i low = _mm256_or_si256(index, _mm256_set1_epi16(static_cast<int16_t>(0x8000)));  // a top bit gives 0
    const __m256i high = _mm256_or_si256(_mm256_slli_epi16(index, 8), _mm256_set1_epi16(0x80));
    return _mm256_or_si256(_mm256_shuffle_epi8(table.low_bytes, low), _mm256_shuffle_epi8(table.high_bytes, high));
  };
  return {picked(group.lo), picked(group.hi)};
}

// 32 signed bytes as bf16
inline U16x32 whole_numbers(const uint8_t* p) {
  const auto sixteen = [](const uint8_t* bytes) {
    const auto upper = [](__m128i eight) {
      return _mm256_srli_epi32(_mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight))), 16);
    };
    const __m128i all = load_16_bytes(bytes);
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(upper(all), upper(_mm_srli_si128(all, 8))), 0xd8);
  };
  return {sixteen(p), sixteen(p + 16)};
}
// 32 numbers of e4m3 as bf16
inline U16x32 fp8_numbers(const uint8_t* p) {
  alignas(16) static constexpr uint16_t kSmall[8] = {0, 0x3b00, 0x3b80, 0x3bc0, 0x3c00, 0x3c20, 0x3c40, 0x3c60};  // i * 2^-9
  uint16_t twice[32];
  for (int i = 0; i < 32; ++i) twice[i] = kSmall[i % 8];
  const LevelTable small = load_levels(twice);
  const U16x32 code = widened_bytes(p), small_number = levels_of<3, 0>(code, small);
  const auto number = [](__m256i word, __m256i of_small) {
    const __m256i sign = _mm256_and_si256(_mm256_slli_epi16(word, 8), _mm256_set1_epi16(static_cast<int16_t>(0x8000)));
    const __m256i magnitude = _mm256_and_si256(word, _mm256_set1_epi16(0x7f));
    const __m256i normal = _mm256_add_epi16(_mm256_slli_epi16(magnitude, 4), _mm256_set1_epi16(120 << 7));
    const __m256i is_small = _mm256_cmpgt_epi16(_mm256_set1_epi16(8), magnitude);
    const __m256i is_nan = _mm256_cmpeq_epi16(magnitude, _mm256_set1_epi16(0x7f));
    const __m256i finite = _mm256_blendv_epi8(normal, of_small, is_small);
    return _mm256_or_si256(_mm256_blendv_epi8(finite, _mm256_set1_epi16(0x7fc0), is_nan), sign);
  };
  return {number(code.lo, small_number.lo), number(code.hi, small_number.hi)};
}

}  // namespace
}  // namespace fovea::kernels::avx2
