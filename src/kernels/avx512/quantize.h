// Four blocks of activations at once: what is reduced over the lanes of one block alone costs more than all the rest. Included by
// kernels.cpp of the AVX-512 folders only.
#pragma once

#include "kernels/activation_tiles.h"
#include "kernels/avx512/simd.h"

namespace fovea::kernels::avx512 {
namespace {

// The largest lane of each of four vectors.
inline __m128 largest_of_four(const __m512 (&v)[4]) {
  const auto pairs = [](__m512 a, __m512 b) { return _mm512_max_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)); };
  const __m512d first = _mm512_castps_pd(pairs(v[0], v[1])), second = _mm512_castps_pd(pairs(v[2], v[3]));
  const __m512 lanes =
      _mm512_max_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(first, second)), _mm512_castpd_ps(_mm512_unpackhi_pd(first, second)));
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
  return _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

// The sums of the first four lanes of each of four vectors, then those of the last four.
inline __m256i sums_of_halves(const __m256i (&v)[4]) {
  const auto pairs = [](__m256i a, __m256i b) { return _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)); };
  const __m256i first = pairs(v[0], v[1]), second = pairs(v[2], v[3]);
  return _mm256_add_epi32(_mm256_unpacklo_epi64(first, second), _mm256_unpackhi_epi64(first, second));
}

// Integers of two vectors -> 32 bytes; what was no finite number becomes -127 or 127.
inline __m256i bytes_of(__m512 first, __m512 second) {
  const __m128i low = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(first)), high = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(second));
  return _mm256_max_epi8(_mm256_set_m128i(high, low), _mm256_set1_epi8(-127));
}

// As quantize_tile, of the 32 numbers at each of four places, into four neighbouring blocks.
inline void quantize_four(const float* const (&values)[4], bool biased, QuantBlock* blocks) {
  __m512 numbers[4][2], largest_lanes[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    for (int h = 0; h < 2; ++h) numbers[i][h] = _mm512_loadu_ps(values[i] + 16 * h);
    largest_lanes[i] = _mm512_max_ps(_mm512_abs_ps(numbers[i][0]), _mm512_abs_ps(numbers[i][1]));
  }
  const __m128 largest = largest_of_four(largest_lanes), steps = _mm_set1_ps(127.0f);
  const __mmask8 normal = _mm_cmp_ps_mask(largest, _mm_set1_ps(kLeastBlockMaximum), _CMP_GT_OQ);
  const __m512 inverses = _mm512_castps128_ps512(_mm_maskz_div_ps(normal, steps, largest));
  const __m256i flip = _mm256_set1_epi8(biased ? -128 : 0);
  __m256i quads[4];  // sums of four bytes
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512 inverse = _mm512_permutexvar_ps(_mm512_set1_epi32(i), inverses);
    const __m256i bytes = bytes_of(_mm512_mul_ps(numbers[i][0], inverse), _mm512_mul_ps(numbers[i][1], inverse));
    quads[i] = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), bytes);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(blocks[i].q), _mm256_xor_si256(bytes, flip));
  }
  const __m256i sums = sums_of_halves(quads);
  const __m128i none = _mm_setzero_si128(), negative_first = _mm_sub_epi32(none, _mm256_castsi256_si128(sums));
  const __m128i negative = _mm_sub_epi32(negative_first, _mm256_extracti128_si256(sums, 1));
  const __m128 scales = _mm_div_ps(largest, steps), scaled = _mm_mul_ps(scales, _mm_cvtepi32_ps(negative));
  // The four tails of 16 bytes: a transposed square.
  const __m128i low = _mm_unpacklo_epi32(_mm_castps_si128(scales), negative), high = _mm_unpackhi_epi32(_mm_castps_si128(scales), negative);
  const __m128i low_rest = _mm_unpacklo_epi32(negative_first, _mm_castps_si128(scaled));
  const __m128i high_rest = _mm_unpackhi_epi32(negative_first, _mm_castps_si128(scaled));
  const __m128i tails[4] = {_mm_unpacklo_epi64(low, low_rest), _mm_unpackhi_epi64(low, low_rest), _mm_unpacklo_epi64(high, high_rest),
                            _mm_unpackhi_epi64(high, high_rest)};
  for (int i = 0; i < 4; ++i) _mm_storeu_si128(reinterpret_cast<__m128i*>(&blocks[i].scale), tails[i]);
}

}  // namespace
}  // namespace fovea::kernels::avx512
