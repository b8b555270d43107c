#include "kernels/key_turning.h"

#include <cmath>

namespace fovea::kernels {

namespace {

int64_t near_place(int pairs, int64_t k, int i) { return (int64_t{i} / 16 * pairs + k) * 16 + i % 16; }

// Of the sum of two angles.
std::pair<float, float> sum_of(std::pair<float, float> a, std::pair<float, float> b) {
  return {std::fma(-a.second, b.second, a.first * b.first), std::fma(a.second, b.first, a.first * b.second)};
}

}  // namespace

std::pair<float, float> KeyTurning::angle(int k, int position) const {
  const int64_t by_near = near_place(pairs, k, position % kNear), by_step = position / kNear % kSteps * stride(pairs) + k;
  const int64_t by_leap = position / (kNear * kSteps) * stride(pairs) + k;
  const std::pair far = sum_of({step(false)[by_step], step(true)[by_step]}, {leap(false)[by_leap], leap(true)[by_leap]});
  return sum_of({near(false)[by_near], near(true)[by_near]}, far);
}

void KeyTurning::fill(std::span<const double> frequencies, float magnitude, float* tables) {
  const int pairs = static_cast<int>(frequencies.size());
  const KeyTurning at = {pairs, nullptr, tables};
  const auto put = [&](const float* cosines, const float* sines, int64_t place, double angle, float factor) {
    tables[cosines - tables + place] = static_cast<float>(std::cos(angle)) * factor;
    tables[sines - tables + place] = static_cast<float>(std::sin(angle)) * factor;
  };
  const auto put_far = [&](const float* cosines, const float* sines, int count, double positions) {
    for (int64_t i = 0; i < count; ++i) {
      for (int k = 0; k < pairs; ++k) {
        put(cosines, sines, i * stride(pairs) + k, static_cast<double>(i) * positions * frequencies[static_cast<size_t>(k)], 1);
      }
    }
  };
  for (int64_t k = 0; k < pairs; ++k) {
    for (int i = 0; i < kNear; ++i)
      put(at.near(false), at.near(true), near_place(pairs, k, i), i * frequencies[static_cast<size_t>(k)], magnitude);
  }
  put_far(at.step(false), at.step(true), kSteps, kNear);
  put_far(at.leap(false), at.leap(true), kLeaps, double{kNear} * kSteps);
}

}  // namespace fovea::kernels
