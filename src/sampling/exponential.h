// e^x for the weights of a softmax.
#pragma once

#include <bit>
#include <cstdint>

namespace fovea::sampling {

// e^x for x <= 0, within 2 units in the last place; exactly 0 below -700 (and for NaN).
//
// Written out instead of std::exp for two reasons: the C library picks a variant by processor, whose last
// bits differ, and a sampled token must not; and this form has no branches or calls, so that loops over a
// vocabulary vectorize.
inline double exp_nonpositive(double x) {
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 6.93147180369123816490e-01;  // ln 2 in two parts: n * high is exact for |n| < 2^20
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  constexpr double kRounder = 0x1.8p52;  // adding it leaves the nearest integer in the low bits

  const double clamped = x > -700.0 ? x : -700.0;
  const double shifted = clamped * kLog2E + kRounder;
  const double n = shifted - kRounder;
  const double r = (clamped - n * kLn2High) - n * kLn2Low;  // |r| <= ln(2) / 2

  double p = 1.0 / 6227020800.0;  // Taylor to r^13: the rest is below 1e-17
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;

  const uint64_t exponent = (std::bit_cast<uint64_t>(shifted) + 1023) << 52;
  const double value = p * std::bit_cast<double>(exponent);
  const double keep = x > -700.0 ? 1.0 : 0.0;  // a factor: choosing between computed values would become a branch
  return value * keep;
}

}  // namespace fovea::sampling
