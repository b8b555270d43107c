// Sixteen pairs of bf16, and the pair that all are multiplied by, in the processor's own products. Included by kernels.cpp of this
// folder only.
#pragma once

#include "kernels/avx512/simd.h"

namespace fovea::kernels::avx512bf16 {
namespace {

using avx512::F32x16;

using PairFactor = uint16_t;
struct PairTerms {
  __m512i v;
};
struct PairFactors {
  __m512i v;
};
inline PairFactor pair_factor(float x) {
  return static_cast<uint16_t>(_mm_cvtsi128_si32(reinterpret_cast<__m128i>(_mm_cvtneps_pbh(_mm_set_ss(x)))));
}
// Rounds and stores; returns what was stored.
inline F32x16 store_pair_factors(PairFactor* p, F32x16 a) {
  const __m256i rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a.v));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), rounded);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded), 16))};
}
inline PairTerms load_pairs(const uint16_t* p) { return {_mm512_loadu_si512(p)}; }
inline PairFactors set1_pair(const PairFactor* p) {
  int32_t both;
  __builtin_memcpy(&both, p, 4);
  return {_mm512_set1_epi32(both)};
}
// fma(first, first, fma(second, second, acc)): so it was found to round on Zen 4, bit for bit
inline F32x16 dot2(PairTerms a, PairFactors b, F32x16 acc) {
  return {_mm512_dpbf16_ps(acc.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
}

}  // namespace
}  // namespace fovea::kernels::avx512bf16
