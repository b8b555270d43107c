// Sixteen lanes with AVX2, FMA and F16C, as two halves. Included by kernels.cpp of this folder only: code compiled for this
// instruction set must not leak into other translation units.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace fovea::kernels::avx2 {
namespace {

constexpr bool kBiasedTiles = false;
constexpr bool kManyRegisters = false;

struct F32x16 {
  __m256 lo, hi;
};
struct I32x16 {
  __m256i lo, hi;
};
struct U8x64 {
  __m256i lo, hi;
};

// All ones in lanes [begin, end) of the eight that start at `first`.
inline __m256i lanes_between(int first, int begin, int end) {
  const __m256i lane = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
  const __m256i not_before = _mm256_cmpgt_epi32(lane, _mm256_set1_epi32(begin - 1));
  return _mm256_and_si256(not_before, _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane));
}

inline F32x16 set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F32x16 zeros() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline F32x16 load_first(const float* p, int n) {
  return {_mm256_maskload_ps(p, lanes_between(0, 0, n)), _mm256_maskload_ps(p + 8, lanes_between(8, 0, n))};
}
inline void store(float* p, F32x16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
inline void store_first(float* p, int n, F32x16 a) {
  _mm256_maskstore_ps(p, lanes_between(0, 0, n), a.lo);
  _mm256_maskstore_ps(p + 8, lanes_between(8, 0, n), a.hi);
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)}; }
inline F32x16 mul(F32x16 a, F32x16 b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
inline F32x16 add(F32x16 a, F32x16 b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
inline F32x16 sub(F32x16 a, F32x16 b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
inline F32x16 div(F32x16 a, F32x16 b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
inline F32x16 max(F32x16 a, F32x16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline F32x16 min(F32x16 a, F32x16 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline F32x16 negate(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_xor_ps(a.lo, sign), _mm256_xor_ps(a.hi, sign)};
}
inline F32x16 abs(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
inline F32x16 round(F32x16 a) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.lo, kNearest), _mm256_round_ps(a.hi, kNearest)};
}
inline F32x16 to_float(I32x16 a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
// a where x >= bound, else 0
inline F32x16 keep_where_not_below(F32x16 a, F32x16 x, F32x16 bound) {
  return {_mm256_and_ps(a.lo, _mm256_cmp_ps(x.lo, bound.lo, _CMP_GE_OQ)), _mm256_and_ps(a.hi, _mm256_cmp_ps(x.hi, bound.hi, _CMP_GE_OQ))};
}
inline __m256 power_of_two(__m256 n) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}
// a * 2^n for whole numbers n in [-126, 127]
inline F32x16 times_power_of_two(F32x16 a, F32x16 n) {
  return {_mm256_mul_ps(a.lo, power_of_two(n.lo)), _mm256_mul_ps(a.hi, power_of_two(n.hi))};
}
// Lanes [begin, end) of a, `fill` elsewhere. REQUIRES 0 <= begin <= end <= 16.
inline F32x16 keep_lanes(F32x16 a, int begin, int end, float fill) {
  const __m256 other = _mm256_set1_ps(fill);
  return {_mm256_blendv_ps(other, a.lo, _mm256_castsi256_ps(lanes_between(0, begin, end))),
          _mm256_blendv_ps(other, a.hi, _mm256_castsi256_ps(lanes_between(8, begin, end)))};
}
// Sums lanes i and i + 8, then i and i + 4, then 2, then 1.
inline float reduce_add(F32x16 a) {
  const __m256 eight = _mm256_add_ps(a.lo, a.hi);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline float reduce_max(F32x16 a) {
  const __m256 eight = _mm256_max_ps(a.lo, a.hi);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

inline I32x16 set1_int(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
inline I32x16 zeros_int() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline I32x16 sub(I32x16 a, I32x16 b) { return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)}; }
template <int kBits> inline I32x16 shift_left(I32x16 a) { return {_mm256_slli_epi32(a.lo, kBits), _mm256_slli_epi32(a.hi, kBits)}; }

inline U8x64 load_bytes(const uint8_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
}
inline void store_bytes(uint8_t* p, U8x64 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), a.hi);
}
inline U8x64 set1_byte(uint8_t x) {
  const __m256i v = _mm256_set1_epi8(static_cast<char>(x));
  return {v, v};
}
inline U8x64 and_bits(U8x64 a, U8x64 b) { return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)}; }
inline U8x64 or_bits(U8x64 a, U8x64 b) { return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)}; }
// Bits of a moved by kBits, left if positive; bits that cross a byte are for a mask to drop.
template <int kBits> inline U8x64 move_bits(U8x64 a) {
  if constexpr (kBits > 0) return {_mm256_slli_epi16(a.lo, kBits), _mm256_slli_epi16(a.hi, kBits)};
  if constexpr (kBits < 0) return {_mm256_srli_epi16(a.lo, -kBits), _mm256_srli_epi16(a.hi, -kBits)};
  return a;
}
// table[code] for 16 bytes of table and codes below 16
inline U8x64 lookup(const uint8_t* table, U8x64 codes) {
  const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return {_mm256_shuffle_epi8(twice, codes.lo), _mm256_shuffle_epi8(twice, codes.hi)};
}
// Sums of four byte products in each 32-bit lane. REQUIRES w <= 128, so that pairs fit 16 bits: 2 * 128 * 127 < 2^15.
inline __m256i dot4_narrow(__m256i w, __m256i a) { return _mm256_madd_epi16(_mm256_maddubs_epi16(w, a), _mm256_set1_epi16(1)); }
// acc[lane] += sum over j < 4 of w[4 * lane + j] * a[j]; kWideWeights: w may use all 8 bits
template <bool kWideWeights> inline I32x16 dot4(I32x16 acc, U8x64 w, const int8_t* a) {
  int32_t four;
  __builtin_memcpy(&four, a, 4);
  const __m256i all = _mm256_set1_epi32(four);
  if constexpr (kWideWeights) {  // the top bit apart, to keep each part within 128
    const __m256i low = _mm256_set1_epi8(0x7f), top = _mm256_set1_epi8(static_cast<char>(0x80));
    acc.lo = _mm256_add_epi32(acc.lo, dot4_narrow(_mm256_and_si256(w.lo, top), all));
    acc.hi = _mm256_add_epi32(acc.hi, dot4_narrow(_mm256_and_si256(w.hi, top), all));
    w = {_mm256_and_si256(w.lo, low), _mm256_and_si256(w.hi, low)};
  }
  return {_mm256_add_epi32(acc.lo, dot4_narrow(w.lo, all)), _mm256_add_epi32(acc.hi, dot4_narrow(w.hi, all))};
}

// Biased tiles are for sets whose byte products add up in 32 bits: pairs of these would not fit 16.
template <typename Shape> I32x16 dot4_biased(I32x16 acc, U8x64 w, const int8_t* a) = delete;
I32x16 subtract_bias(I32x16 acc, U8x64 w) = delete;
U8x64 sub_bytes(U8x64 a, U8x64 b) = delete;
void store_ints(int32_t* p, I32x16 a) = delete;
template <typename Shape> I32x16 load_ints(const int32_t* p) = delete;

inline __m128i load_8_halves(const uint16_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline F32x16 load_f16(const uint16_t* p) { return {_mm256_cvtph_ps(load_8_halves(p)), _mm256_cvtph_ps(load_8_halves(p + 8))}; }
inline __m256 bf16_to_float(__m128i halves) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16)); }
inline F32x16 load_bf16(const uint16_t* p) { return {bf16_to_float(load_8_halves(p)), bf16_to_float(load_8_halves(p + 8))}; }
inline void store_f16(uint16_t* p, F32x16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT));
}
inline __m256i bf16_bits(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a), top = _mm256_srli_epi32(bits, 16);
  const __m256i even = _mm256_and_si256(top, _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i quiet = _mm256_or_si256(top, _mm256_set1_epi32(0x40));
  return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)));
}
inline void store_bf16(uint16_t* p, F32x16 a) {
  const __m256i packed = _mm256_packus_epi32(bf16_bits(a.lo), bf16_bits(a.hi));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
}
inline __m256 rounded_to_bf16(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7fff)));
  return _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}
// a rounded to the nearest bf16, ties to even. REQUIRES finite a.
inline F32x16 round_to_bf16(F32x16 a) { return {rounded_to_bf16(a.lo), rounded_to_bf16(a.hi)}; }

// Sixteen pairs of bf16 as floats, and the two numbers that all pairs are multiplied by.
using PairFactor = float;
struct PairTerms {
  F32x16 first, second;
};
struct PairFactors {
  F32x16 first, second;
};
inline PairFactor pair_factor(float x) { return _mm256_cvtss_f32(rounded_to_bf16(_mm256_set1_ps(x))); }
// Rounds and stores; returns what was stored.
inline F32x16 store_pair_factors(PairFactor* p, F32x16 a) {
  const F32x16 rounded = round_to_bf16(a);
  store(p, rounded);
  return rounded;
}
inline PairTerms load_pairs(const uint16_t* p) {
  const __m256i lo = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i hi = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 16));
  const __m256i second = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  return {{_mm256_castsi256_ps(_mm256_slli_epi32(lo, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(hi, 16))},
          {_mm256_castsi256_ps(_mm256_and_si256(lo, second)), _mm256_castsi256_ps(_mm256_and_si256(hi, second))}};
}
// The firsts and the seconds of sixteen pairs of bf16.
inline void split_pairs(const uint16_t* p, F32x16& first, F32x16& second) {
  const PairTerms both = load_pairs(p);
  first = both.first;
  second = both.second;
}
// Sixteen pairs, rounded to bf16. REQUIRES finite numbers.
inline void store_pairs(uint16_t* p, F32x16 first, F32x16 second) {
  const auto join = [](__m256 low, __m256 high) {
    return _mm256_or_si256(_mm256_srli_epi32(_mm256_castps_si256(rounded_to_bf16(low)), 16), _mm256_castps_si256(rounded_to_bf16(high)));
  };
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), join(first.lo, second.lo));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 16), join(first.hi, second.hi));
}
inline PairFactors set1_pair(const PairFactor* p) { return {set1(p[0]), set1(p[1])}; }
inline F32x16 dot2(PairTerms a, PairFactors b, F32x16 acc) { return fma(a.first, b.first, fma(a.second, b.second, acc)); }

inline F32x16 bytes_to_float(__m128i bytes) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}
inline F32x16 load_signed_bytes(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
inline F32x16 load_bytes_and(const uint8_t* p, uint8_t mask) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return bytes_to_float(_mm_and_si128(bytes, _mm_set1_epi8(static_cast<char>(mask))));
}
inline F32x16 load_high_nibbles(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return bytes_to_float(_mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(0x0f)));
}
// 2^(e - 128) of 16 bytes e; the two smallest are subnormal
inline __m256 powers_of_two(__m256i e) {
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
  const __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(1 << 21), e);
  return _mm256_castsi256_ps(_mm256_blendv_epi8(normal, subnormal, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
}
inline F32x16 load_powers_of_two(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {powers_of_two(_mm256_cvtepu8_epi32(bytes)), powers_of_two(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}
// Rounds to nearest, ties to even, and stores 16 signed bytes; returns the integers. REQUIRES |a| <= 127.
inline I32x16 store_rounded(int8_t* p, F32x16 a) {
  const I32x16 whole = {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)};
  const __m256i shorts = _mm256_permute4x64_epi64(_mm256_packs_epi32(whole.lo, whole.hi), 0xd8);
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256(shorts, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  return whole;
}
inline int32_t reduce_add(I32x16 a) {
  const __m256i eight = _mm256_add_epi32(a.lo, a.hi);
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

}  // namespace
}  // namespace fovea::kernels::avx2
