#include "conversion/scale_fit.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace fovea::conversion {
namespace {

// To the nearest whole number, of two the even one; |x| < 2^22. Adding this pushes the fraction out of a float, where std::nearbyint
// would be a call for every number.
float nearest(float x) {
  constexpr float kPushOut = 0x1.8p23f;
  return (x + kPushOut) - kPushOut;
}

float largest_by_magnitude(std::span<const float> x) {
  return *std::max_element(x.begin(), x.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
}

// The best scale for given roundings is sxq / sqq, and it takes sxq^2 / sqq off the error.
struct Sums {
  float xq = 0, qq = 0;
  void add(float weight, float x, float q) {
    xq += weight * x * q;
    qq += weight * q * q;
  }
  float gain() const { return qq > 0 ? xq * xq / qq : 0; }
  float scale() const { return qq > 0 ? xq / qq : 0; }
};

// The largest number lands near `extreme`, in steps of a tenth of a level to both sides.
template <typename Level> float best_scale(std::span<const float> x, float extreme, float step, Level level) {
  constexpr int kSteps = 9;
  const float largest = largest_by_magnitude(x);
  if (!(std::abs(largest) > 1e-30f)) return 0;
  Sums best;
  for (int t = -kSteps; t <= kSteps; ++t) {
    const float inverse = (extreme + step * static_cast<float>(t)) / largest;
    Sums sums;
    for (const float value : x) sums.add(value * value, value, level(value * inverse));
    if (sums.gain() > best.gain()) best = sums;
  }
  return best.scale();
}

}  // namespace

int rounded(float x, int least, int most) {
  const float limited = std::clamp(x, static_cast<float>(least), static_cast<float>(most));
  return static_cast<int>(nearest(limited));
}

float fit_scale(std::span<const float> x, int levels) {
  const auto least = static_cast<float>(-levels), most = static_cast<float>(levels - 1);
  return best_scale(x, least, 0.1f, [=](float value) { return nearest(std::clamp(value, least, most)); });
}

ScaleAndOffset fit_scale_and_offset(std::span<const float> x, int most, bool any_offset) {
  constexpr int kSteps = 20;
  assert(x.size() <= kMostGroup);
  const auto [least_x, most_x] = std::minmax_element(x.begin(), x.end());
  const float low = any_offset ? *least_x : std::min(0.f, *least_x), range = *most_x - low;
  if (!(range > 1e-30f)) return {0, low};
  float squares = 0, weights[kMostGroup];
  for (const float value : x) squares += value * value;
  const float rms = std::sqrt(squares / static_cast<float>(x.size()));
  float w_all = 0, w_x = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    weights[i] = rms + std::abs(x[i]);
    w_all += weights[i];
    w_x += weights[i] * x[i];
  }
  ScaleAndOffset best;
  float least_error = INFINITY;
  for (int t = 0; t <= kSteps; ++t) {
    const float inverse = (static_cast<float>(most) - 1 + 0.1f * static_cast<float>(t)) / range;
    float q[kMostGroup], w_q = 0, w_qq = 0, w_xq = 0, error = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      q[i] = nearest(std::clamp(inverse * (x[i] - low), 0.f, static_cast<float>(most)));
      w_q += weights[i] * q[i];
      w_qq += weights[i] * q[i] * q[i];
      w_xq += weights[i] * x[i] * q[i];
    }
    const float determinant = w_all * w_qq - w_q * w_q;
    ScaleAndOffset fit = {(w_all * w_xq - w_x * w_q) / determinant, (w_qq * w_x - w_q * w_xq) / determinant};
    const bool same_levels = !(determinant > 1e-6f * w_all * w_qq);  // nothing tells scale and offset apart
    if (same_levels || (fit.offset > 0 && !any_offset)) fit = {w_xq / w_qq, 0};
    for (size_t i = 0; i < x.size(); ++i) {
      const float off = fit.scale * q[i] + fit.offset - x[i];
      error += weights[i] * off * off;
    }
    if (error < least_error) {
      least_error = error;
      best = fit;
    }
  }
  return best;
}

int nearest_code(float x, std::span<const int8_t, 16> codes) {
  const auto above =
      std::lower_bound(codes.begin(), codes.end(), x, [](int8_t code, float value) { return static_cast<float>(code) < value; });
  if (above == codes.begin()) return 0;
  if (above == codes.end()) return static_cast<int>(codes.size()) - 1;
  const auto at = static_cast<int>(above - codes.begin());
  return static_cast<float>(*above) - x < x - static_cast<float>(*(above - 1)) ? at : at - 1;
}

float fit_codes(std::span<const float> x, std::span<const int8_t, 16> codes) {
  const auto level = [&](float value) { return static_cast<float>(codes[static_cast<size_t>(nearest_code(value, codes))]); };
  return best_scale(x, static_cast<float>(codes.front()), 1, level);
}

}  // namespace fovea::conversion
