// Codes of narrow codecs -> bf16, and what rotating and encoding need. Included by kernels.cpp of the folders with AVX-512 only.
#pragma once

#include "kernels/avx512/simd.h"

namespace fovea::kernels::avx512 {
namespace {

// Lane i of lane i ^ kDistance.
template <int kDistance> inline F32x16 swap_lanes(F32x16 a) {
  if constexpr (kDistance == 1) return {_mm512_permute_ps(a.v, 0xb1)};
  if constexpr (kDistance == 2) return {_mm512_permute_ps(a.v, 0x4e)};
  if constexpr (kDistance == 4) return {_mm512_shuffle_f32x4(a.v, a.v, 0xb1)};
  return {_mm512_shuffle_f32x4(a.v, a.v, 0x4e)};
}
// Lanes whose number has the bit kDistance, negated.
template <int kDistance> inline F32x16 negate_upper(F32x16 a) {
  constexpr __mmask16 kUpper = kDistance == 1 ? 0xaaaa : kDistance == 2 ? 0xcccc : kDistance == 4 ? 0xf0f0 : 0xff00;
  return {_mm512_mask_xor_ps(a.v, kUpper, a.v, _mm512_set1_ps(-0.0f))};
}
// table[code] for 16 numbers of table and whole codes below 16
inline F32x16 pick(const float* table, F32x16 code) { return {_mm512_permutexvar_ps(_mm512_cvtps_epi32(code.v), _mm512_loadu_ps(table))}; }
// 0 where a < bound; NaN stays
inline F32x16 zero_where_below(F32x16 a, F32x16 bound) {
  return {_mm512_mask_mov_ps(a.v, _mm512_cmp_ps_mask(a.v, bound.v, _CMP_LT_OQ), _mm512_setzero_ps())};
}

struct U16x32 {
  __m512i v;
};

inline void store_words(uint16_t* p, U16x32 a) { _mm512_storeu_si512(p, a.v); }
inline __m512i widened_bytes(const uint8_t* p) { return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
// Lanes of a group of four vectors of kBits bits.
template <int kBits, bool kKeys> inline U16x32 load_group(const uint8_t* p) {
  if constexpr (kBits == 4) return {_mm512_loadu_si512(p)};
  const __m512i lower = widened_bytes(p);
  if constexpr (kBits == 2) return {lower};
  const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 32));
  if constexpr (kKeys) {
    const __m512i both = _mm512_cvtepu8_epi32(upper);
    const __m512i even = _mm512_and_si512(_mm512_slli_epi32(both, 8), _mm512_set1_epi32(0x00000f00));
    const __m512i odd = _mm512_and_si512(_mm512_slli_epi32(both, 20), _mm512_set1_epi32(0x0f000000));
    return {_mm512_or_si512(lower, _mm512_or_si512(even, odd))};
  }
  const __m256i both = _mm256_cvtepu8_epi16(upper), mask = _mm256_set1_epi16(0x0f00);
  const __m256i first = _mm256_and_si256(_mm256_slli_epi16(both, 8), mask);
  const __m256i second = _mm256_and_si256(_mm256_slli_epi16(both, 4), mask);
  return {_mm512_or_si512(lower, _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1))};
}

struct LevelTable {
  __m512i v;
};
// 32 numbers of bf16, repeated as often as they fit
inline LevelTable load_levels(const uint16_t* p) { return {_mm512_loadu_si512(p)}; }
// The levels of vector kVector of a group.
template <int kBits, int kVector> inline U16x32 levels_of(U16x32 group, LevelTable table) {
  return {_mm512_permutexvar_epi16(_mm512_srli_epi16(group.v, kBits * kVector), table.v)};
}

// 32 signed bytes as bf16
inline U16x32 whole_numbers(const uint8_t* p) {
  const auto wide = [](const uint8_t* bytes) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    return _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sixteen)));
  };
  alignas(64) static constexpr uint16_t kUpperHalves[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                                            33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
  return {_mm512_permutex2var_epi16(wide(p), _mm512_load_si512(kUpperHalves), wide(p + 16))};
}
// 32 numbers of e4m3 as bf16
inline U16x32 fp8_numbers(const uint8_t* p) {
  const __m512i code = widened_bytes(p);
  const __m512i sign = _mm512_and_si512(_mm512_slli_epi16(code, 8), _mm512_set1_epi16(static_cast<int16_t>(0x8000)));
  const __m512i magnitude = _mm512_and_si512(code, _mm512_set1_epi16(0x7f));
  const __m512i normal = _mm512_add_epi16(_mm512_slli_epi16(magnitude, 4), _mm512_set1_epi16(120 << 7));
  alignas(16) static constexpr uint16_t kSmall[8] = {0, 0x3b00, 0x3b80, 0x3bc0, 0x3c00, 0x3c20, 0x3c40, 0x3c60};  // i * 2^-9
  const __m512i small = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kSmall)));
  const __mmask32 is_small = _mm512_testn_epi16_mask(code, _mm512_set1_epi16(0x78));
  const __mmask32 is_nan = _mm512_cmpeq_epi16_mask(magnitude, _mm512_set1_epi16(0x7f));
  __m512i number = _mm512_mask_permutexvar_epi16(normal, is_small, magnitude, small);
  number = _mm512_mask_mov_epi16(number, is_nan, _mm512_set1_epi16(0x7fc0));
  return {_mm512_or_si512(number, sign)};
}

}  // namespace
}  // namespace fovea::kernels::avx512
