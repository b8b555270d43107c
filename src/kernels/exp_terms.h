// The exponential function that all instruction sets share, so that softmax and activations agree between them.
//
// exp(x) = 2^n * exp(r), n = round(x / ln 2), r = x - n ln 2 taken off in two parts, exp(r) by a polynomial of degree 6 in
// Horner form with fused multiply-adds (Cody and Waite's reduction; the coefficients are those of the Cephes library's
// expf). The relative error stays below kExpError (measured in row_kernels_test.cpp). Below kExpLowest the result is 0 (so
// that a masked score of -infinity weighs nothing).
#pragma once

namespace fovea::kernels {

inline constexpr float kExpLowest = -87.3f;
inline constexpr float kExpHighest = 88.3f;
inline constexpr double kExpError = 1.2e-7;
inline constexpr float kLog2e = 1.44269504088896341f;
inline constexpr float kLn2High = 0.693359375f;  // few bits: n * kLn2High is exact
inline constexpr float kLn2Low = -2.12194440e-4f;
inline constexpr float kExpTerms[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                      4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};

}  // namespace fovea::kernels
