// Sixteen pairs of bf16 as floats, and the two numbers that all pairs are multiplied by. Included by kernels.cpp of this folder
// only.
#pragma once

#include "kernels/avx512/simd.h"

namespace fovea::kernels::avx512 {
namespace {

using PairFactor = float;
struct PairTerms {
  F32x16 first, second;
};
struct PairFactors {
  F32x16 first, second;
};
// Rounds and stores; returns what was stored.
inline F32x16 store_pair_factors(PairFactor* p, F32x16 a) {
  const F32x16 rounded = round_to_bf16(a);
  store(p, rounded);
  return rounded;
}
inline PairFactor pair_factor(float x) { return _mm512_cvtss_f32(round_to_bf16(set1(x)).v); }
inline PairTerms load_pairs(const uint16_t* p) {
  PairTerms terms;
  split_pairs(p, terms.first, terms.second);
  return terms;
}
inline PairFactors set1_pair(const PairFactor* p) { return {set1(p[0]), set1(p[1])}; }
inline F32x16 dot2(PairTerms a, PairFactors b, F32x16 acc) { return fma(a.first, b.first, fma(a.second, b.second, acc)); }

}  // namespace
}  // namespace fovea::kernels::avx512
