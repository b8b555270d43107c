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

// 2^x = 2^n * 2^f, n = round(x), 2^f by the polynomial of degree 3 with the least relative error on [-1/2, 1/2]: for weights that are
// rounded to bf16 afterwards, whose own error may be 50 times as large.
inline constexpr float kRoughLowest = -125.9f;  // what is above is a normal number, in bf16 too
inline constexpr double kRoughError = 7.6e-5;
inline constexpr float kRoughTerms[] = {0.055171553f, 0.24261136f, 0.69326103f, 0.99992806f};

}  // namespace fovea::kernels
