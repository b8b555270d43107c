// Keys that are stored before rope and turned by their position as they are read.
//
// An angle is the sum of three, so that tables for all positions stay small: position = near + kNear * (step + kSteps * leap), and
//   cos(a + b) = cos a cos b - sin a sin b,  sin(a + b) = sin a cos b + cos a sin b      for step + leap, then for (step + leap) + near
// in float, by fused multiply-adds: key dimensions (x, y) = (u_2k w_2k, u_2k+1 w_2k+1) become (x cos - y sin, y cos + x sin), as
// KernelSet::rotate has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace fovea::kernels {

struct KeyTurning {
  static constexpr int kNear = 128, kSteps = 512, kLeaps = 256;  // positions below their product, 2^24

  int pairs = 0;
  const float* weights = nullptr;  // [2 * pairs]: what stored numbers are multiplied by before they are turned
  const float* tables = nullptr;   // floats(pairs) of them

  // The tables: cosines, then sines, of
  //   near   [kNear / 16][pairs][16]
  //   step   [kSteps][stride(pairs)]      angles of kNear positions
  //   leap   [kLeaps][stride(pairs)]      angles of kNear * kSteps positions
  [[gnu::always_inline]] static constexpr int stride(int pairs) { return (pairs + 15) / 16 * 16; }
  [[gnu::always_inline]] const float* near(bool sines) const { return tables + sines * pairs * kNear; }
  [[gnu::always_inline]] const float* step(bool sines) const { return tables + 2 * pairs * kNear + sines * kSteps * stride(pairs); }
  [[gnu::always_inline]] const float* leap(bool sines) const {
    return step(true) + kSteps * stride(pairs) + sines * kLeaps * stride(pairs);
  }

  static constexpr size_t floats(int pairs) {
    return 2 * (static_cast<size_t>(pairs) * kNear + static_cast<size_t>(kSteps + kLeaps) * static_cast<size_t>(stride(pairs)));
  }
  // Cosine and sine of pair k at a position: what the sum above says.
  std::pair<float, float> angle(int k, int position) const;

  // frequencies  radians per position, one per pair
  // magnitude    of cosines and sines
  static void fill(std::span<const double> frequencies, float magnitude, float* tables);
};

}  // namespace fovea::kernels
