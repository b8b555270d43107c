#include "model/rope.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

#include "fovea/error.h"

namespace fovea::model {
namespace {

double frequency_by_wavelength(double frequency, const RopeScaling& scaling) {
  const double turns = scaling.original_context_tokens * frequency / (2 * std::numbers::pi);
  if (turns > scaling.high_freq_factor) return frequency;
  if (turns < scaling.low_freq_factor) return frequency / scaling.factor;
  const double kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return frequency * ((1 - kept) / scaling.factor + kept);
}

// The pair whose frequency makes so many turns within the original context, as a real number.
double pair_of_turns(double turns, int dims, double base, const RopeScaling& scaling) {
  return dims * std::log(scaling.original_context_tokens / (turns * 2 * std::numbers::pi)) / (2 * std::log(base));
}

double yarn_frequency(double frequency, int k, int dims, double base, const RopeScaling& scaling) {
  double low = pair_of_turns(scaling.beta_fast, dims, base, scaling);
  double high = pair_of_turns(scaling.beta_slow, dims, base, scaling);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dims - 1.0);
  if (low == high) high += 0.001;
  const double divided = std::clamp((k - low) / (high - low), 0.0, 1.0);
  return frequency * ((1 - divided) + divided / scaling.factor);
}

double scaled_frequency(double frequency, int k, int dims, double base, const RopeScaling& scaling) {
  switch (scaling.kind) {
    case RopeScaling::Kind::none:
      return frequency;
    case RopeScaling::Kind::yarn:
      return yarn_frequency(frequency, k, dims, base, scaling);
    case RopeScaling::Kind::listed:
      return frequency / scaling.divisors[static_cast<size_t>(k)];
    case RopeScaling::Kind::proportional:
      return k < static_cast<int>(scaling.turning * dims / 2) ? frequency / scaling.factor : 0;
    case RopeScaling::Kind::linear:
      return frequency / scaling.factor;
    case RopeScaling::Kind::by_wavelength:
      return frequency_by_wavelength(frequency, scaling);
  }
  return frequency;
}

}  // namespace

double yarn_magnitude(double factor, double weight) { return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1; }

Rope make_rope(Rope::Pairing pairing, int dims, double base, const RopeScaling& scaling) {
  assert(dims > 0 && dims % 2 == 0 && base > 0 && scaling.factor > 0);
  Rope rope;
  rope.pairing = pairing;
  rope.dims = dims;
  rope.base = static_cast<float>(base);
  rope.scale = scaling.kind == RopeScaling::Kind::none ? 1.f : static_cast<float>(scaling.factor);
  rope.magnitude = static_cast<float>(scaling.magnitude);
  rope.frequencies.reserve(static_cast<size_t>(dims / 2));
  for (int k = 0; k < dims / 2; ++k) {
    const double frequency = std::pow(base, -2.0 * k / dims);
    rope.frequencies.push_back(scaled_frequency(frequency, k, dims, base, scaling));
    if (!scaling.far_divisors.empty()) rope.far_frequencies.push_back(frequency / scaling.far_divisors[static_cast<size_t>(k)]);
  }
  rope.near_tokens = static_cast<int>(scaling.far_divisors.empty() ? 0 : scaling.original_context_tokens);
  return rope;
}

// Converters write 1e30 for pairs that do not turn.
constexpr float kNeverTurns = 1e29f;

void apply_divisors(Rope& rope, std::span<const float> divisors, const std::string& where) {
  constexpr const char* kMend = "the file is damaged or badly converted: fetch or convert it again";
  if (divisors.size() != rope.frequencies.size()) {
    throw Error("holds " + std::to_string(divisors.size()) + " rope divisors, expected " + std::to_string(rope.frequencies.size()) +
                    ", one for each pair of rotating dimensions",
                where, kMend);
  }
  for (size_t k = 0; k < divisors.size(); ++k) {
    if (!std::isfinite(divisors[k]) || divisors[k] <= 0) {
      throw Error("rope divisor " + std::to_string(k) + " is not a positive number", where, kMend);
    }
    if (divisors[k] >= kNeverTurns) rope.frequencies[k] = 0;
    else rope.frequencies[k] /= static_cast<double>(divisors[k]);
  }
}

}  // namespace fovea::model
