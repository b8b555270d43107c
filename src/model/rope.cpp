#include "model/rope.h"

#include <cassert>
#include <cmath>
#include <numbers>

#include "fovea/error.h"

namespace fovea::model {
namespace {

double llama3_frequency(double frequency, const RopeScaling& scaling) {
  const double turns = scaling.original_context_tokens * frequency / (2 * std::numbers::pi);
  if (turns > scaling.high_freq_factor) return frequency;
  if (turns < scaling.low_freq_factor) return frequency / scaling.factor;
  const double kept =
      (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return frequency * ((1 - kept) / scaling.factor + kept);
}

double scaled_frequency(double frequency, const RopeScaling& scaling) {
  switch (scaling.kind) {
    case RopeScaling::Kind::none:
      return frequency;
    case RopeScaling::Kind::linear:
      return frequency / scaling.factor;
    case RopeScaling::Kind::llama3:
      return llama3_frequency(frequency, scaling);
  }
  return frequency;
}

}  // namespace

Rope make_rope(Rope::Pairing pairing, int dims, double base, const RopeScaling& scaling) {
  assert(dims > 0 && dims % 2 == 0 && base > 0 && scaling.factor > 0);
  Rope rope;
  rope.pairing = pairing;
  rope.dims = dims;
  rope.base = static_cast<float>(base);
  rope.scale = scaling.kind == RopeScaling::Kind::none ? 1.f : static_cast<float>(scaling.factor);
  rope.frequencies.reserve(static_cast<size_t>(dims / 2));
  for (int k = 0; k < dims / 2; ++k) {
    rope.frequencies.push_back(scaled_frequency(std::pow(base, -2.0 * k / dims), scaling));
  }
  return rope;
}

void apply_divisors(Rope& rope, std::span<const float> divisors, const std::string& where) {
  constexpr const char* kMend = "the file is damaged or badly converted: fetch or convert it again";
  if (divisors.size() != rope.frequencies.size()) {
    throw Error("holds " + std::to_string(divisors.size()) + " rope divisors, expected " +
                    std::to_string(rope.frequencies.size()) + ", one for each pair of rotating dimensions",
                where, kMend);
  }
  for (size_t k = 0; k < divisors.size(); ++k) {
    if (!std::isfinite(divisors[k]) || divisors[k] <= 0) {
      throw Error("rope divisor " + std::to_string(k) + " is not a positive number", where, kMend);
    }
    rope.frequencies[k] /= static_cast<double>(divisors[k]);
  }
}

}  // namespace fovea::model
