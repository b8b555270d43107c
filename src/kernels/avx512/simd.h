// Sixteen lanes with AVX-512 (F, BW, VL, DQ, VNNI). Included by kernels.cpp of this folder only: code compiled for this
// instruction set must not leak into other translation units.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace fovea::kernels::avx512 {
namespace {

constexpr bool kBiasedTiles = true;
constexpr bool kManyRegisters = true;  // 24 sums stay in registers

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};
struct U8x64 {
  __m512i v;
};

inline __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline F32x16 set1(float x) { return {_mm512_set1_ps(x)}; }
inline F32x16 zeros() { return {_mm512_setzero_ps()}; }
inline F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F32x16 load_first(const float* p, int n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
inline void store(float* p, F32x16 a) { _mm512_storeu_ps(p, a.v); }
inline void store_first(float* p, int n, F32x16 a) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F32x16 mul(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32x16 add(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32x16 sub(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32x16 div(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F32x16 abs(F32x16 a) { return {_mm512_abs_ps(a.v)}; }
inline F32x16 negate(F32x16 a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
inline F32x16 round(F32x16 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline F32x16 to_float(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
// a where x >= bound, else 0
inline F32x16 keep_where_not_below(F32x16 a, F32x16 x, F32x16 bound) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, bound.v, _CMP_GE_OQ), a.v)};
}
// a * 2^n for whole numbers n
inline F32x16 times_power_of_two(F32x16 a, F32x16 n) { return {_mm512_scalef_ps(a.v, n.v)}; }
// Lanes [begin, end) of a, `fill` elsewhere. REQUIRES 0 <= begin <= end <= 16.
inline F32x16 keep_lanes(F32x16 a, int begin, int end, float fill) {
  const __mmask16 keep = static_cast<__mmask16>(first_lanes(end) & ~first_lanes(begin));
  return {_mm512_mask_mov_ps(_mm512_set1_ps(fill), keep, a.v)};
}
// Sums lanes i and i + 8, then i and i + 4, then 2, then 1.
inline float reduce_add(F32x16 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline float reduce_max(F32x16 a) { return _mm512_reduce_max_ps(a.v); }

inline I32x16 set1_int(int32_t x) { return {_mm512_set1_epi32(x)}; }
inline I32x16 zeros_int() { return {_mm512_setzero_si512()}; }
inline I32x16 sub(I32x16 a, I32x16 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
template <int kBits> inline I32x16 shift_left(I32x16 a) { return {_mm512_slli_epi32(a.v, kBits)}; }

inline U8x64 load_bytes(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
inline void store_bytes(uint8_t* p, U8x64 a) { _mm512_storeu_si512(p, a.v); }
inline U8x64 set1_byte(uint8_t x) { return {_mm512_set1_epi8(static_cast<char>(x))}; }
inline U8x64 and_bits(U8x64 a, U8x64 b) { return {_mm512_and_si512(a.v, b.v)}; }
inline U8x64 or_bits(U8x64 a, U8x64 b) { return {_mm512_or_si512(a.v, b.v)}; }
// (bits of a moved by kBits, left if positive) & mask | b; bits that cross a byte are for the mask to drop
template <int kBits> inline U8x64 move_bits(U8x64 a) {
  if constexpr (kBits > 0) return {_mm512_slli_epi16(a.v, kBits)};
  if constexpr (kBits < 0) return {_mm512_srli_epi16(a.v, -kBits)};
  return a;
}
// table[code] for 16 bytes of table and codes below 16
inline U8x64 lookup(const uint8_t* table, U8x64 codes) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), codes.v)};
}
// acc[lane] += sum over j < 4 of w[4 * lane + j] * a[j]; kWideWeights: w may use all 8 bits
template <bool kWideWeights> inline I32x16 dot4(I32x16 acc, U8x64 w, const int8_t* a) {
  int32_t four;
  __builtin_memcpy(&four, a, 4);
  return {_mm512_dpbusd_epi32(acc.v, w.v, _mm512_set1_epi32(four))};
}

// acc[lane] += sum over j < 4 of w[4 * lane + j] * a[j], w signed and a unsigned
template <typename Shape> inline I32x16 dot4_biased(I32x16 acc, U8x64 w, const int8_t* a) {
  int32_t four;
  __builtin_memcpy(&four, a, 4);
  return {_mm512_dpbusd_epi32(acc.v, _mm512_set1_epi32(four), w.v)};
}
// -128 * (the sum of four signed bytes) in each lane, added to acc
inline I32x16 subtract_bias(I32x16 acc, U8x64 w) {
  return {_mm512_sub_epi32(acc.v, _mm512_slli_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), w.v), 7))};
}
inline U8x64 sub_bytes(U8x64 a, U8x64 b) { return {_mm512_sub_epi8(a.v, b.v)}; }
inline void store_ints(int32_t* p, I32x16 a) { _mm512_storeu_si512(p, a.v); }
template <typename Shape> inline I32x16 load_ints(const int32_t* p) { return {_mm512_loadu_si512(p)}; }

inline F32x16 load_f16(const uint16_t* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))}; }
inline F32x16 load_bf16(const uint16_t* p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
inline void store_f16(uint16_t* p, F32x16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
inline void store_bf16(uint16_t* p, F32x16 a) {
  const __m512i bits = _mm512_castps_si512(a.v), top = _mm512_srli_epi32(bits, 16);
  const __m512i even = _mm512_and_si512(top, _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff))), 16);
  const __mmask16 is_nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  const __m512i result = _mm512_mask_or_epi32(rounded, is_nan, top, _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(result));
}
// a rounded to the nearest bf16, ties to even. REQUIRES finite a.
inline F32x16 round_to_bf16(F32x16 a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff)));
  return {_mm512_castsi512_ps(_mm512_and_si512(up, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}

// The firsts and the seconds of sixteen pairs of bf16.
inline void split_pairs(const uint16_t* p, F32x16& first, F32x16& second) {
  const __m512i both = _mm512_loadu_si512(p);
  first = {_mm512_castsi512_ps(_mm512_slli_epi32(both, 16))};
  second = {_mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}

// Sixteen pairs, rounded to bf16. REQUIRES finite numbers.
inline void store_pairs(uint16_t* p, F32x16 first, F32x16 second) {
  const __m512i low = _mm512_srli_epi32(_mm512_castps_si512(round_to_bf16(first).v), 16);
  _mm512_storeu_si512(p, _mm512_or_si512(low, _mm512_castps_si512(round_to_bf16(second).v)));
}

// bytes 0..15 as floats
inline F32x16 load_signed_bytes(const uint8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
inline F32x16 load_bytes_and(const uint8_t* p, uint8_t mask) {
  const __m128i bytes = _mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), _mm_set1_epi8(static_cast<char>(mask)));
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))};
}
inline F32x16 load_high_nibbles(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(0x0f));
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(high))};
}
// 2^(e - 128) of 16 bytes e; the two smallest are subnormal
inline F32x16 load_powers_of_two(const uint8_t* p) {
  const __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
  const __mmask16 subnormal = _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2));
  return {_mm512_castsi512_ps(_mm512_mask_sllv_epi32(normal, subnormal, _mm512_set1_epi32(1 << 21), e))};
}
// Rounds to nearest, ties to even, and stores 16 signed bytes; returns the integers. REQUIRES |a| <= 127.
inline I32x16 store_rounded(int8_t* p, F32x16 a) {
  const __m512i whole = _mm512_cvtps_epi32(a.v);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(whole));
  return {whole};
}
inline int32_t reduce_add(I32x16 a) { return _mm512_reduce_add_epi32(a.v); }

}  // namespace
}  // namespace fovea::kernels::avx512
