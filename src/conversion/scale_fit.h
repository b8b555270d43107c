// Integers and the scale that stand for a group of numbers with the least error.
#pragma once

#include <cstdint>
#include <span>

namespace fovea::conversion {

inline constexpr int kMostGroup = 32;

// x ~ scale * q with q in -levels .. levels - 1. Tries scales around the one that uses the whole range and solves for the best one given
// each rounding; errors count by x^2, since large weights carry most of what a matrix does.
float fit_scale(std::span<const float> x, int levels);

// x ~ scale * q + offset with q in 0 .. most; offset <= 0 where the format cannot store another. Errors count by |x| + rms(x).
struct ScaleAndOffset {
  float scale = 0, offset = 0;
};
ScaleAndOffset fit_scale_and_offset(std::span<const float> x, int most, bool any_offset);

// x ~ scale * codes[q], codes ascending. Errors count by x^2.
float fit_codes(std::span<const float> x, std::span<const int8_t, 16> codes);
int nearest_code(float x, std::span<const int8_t, 16> codes);

// round(x * inverse), within the limits; halves to even.
int rounded(float x, int least, int most);

}  // namespace fovea::conversion
