#include "model/key_balance.h"

#include <algorithm>
#include <cmath>

namespace fovea::model {
namespace {

constexpr double kMostExponent = 8;

// The dimension that rope turns together with d; d itself, if none.
int partner(const Rope* rope, int d) {
  if (!rope || d >= rope->dims) return d;
  const int pairs = rope->dims / 2;
  if (rope->pairing == Rope::Pairing::adjacent) return d ^ 1;
  return d < pairs ? d + pairs : d - pairs;
}

double exponent(double query, double key) {
  if (!(query > 0) || !(key > 0)) return 0;
  return std::clamp(std::nearbyint(0.25 * std::log2(query / key)), -kMostExponent, kMostExponent);
}

// [head_dim]: 2^e of the keys
std::vector<float> factors_of(const Rope* rope, const AlignedArray<float>& q_norm, const AlignedArray<float>& k_norm) {
  std::vector<float> factors(k_norm.size());
  for (size_t d = 0; d < factors.size(); ++d) {
    const auto other = static_cast<size_t>(partner(rope, static_cast<int>(d)));
    const auto power = [&](const AlignedArray<float>& norm) {
      return double{norm.data()[d]} * norm.data()[d] + double{norm.data()[other]} * norm.data()[other];
    };
    factors[d] = static_cast<float>(std::exp2(exponent(power(q_norm), power(k_norm))));
  }
  return factors;
}

}  // namespace

void balance_keys(const ModelSpec& spec, Weights& weights) {
  const auto reads = [&](size_t layer, size_t owner) {
    return layer == owner || spec.layers[layer].attention.shares_with == static_cast<int>(owner);
  };
  for (size_t owner = 0; owner < weights.layers.size(); ++owner) {
    const AttentionSpec& a = spec.layers[owner].attention;
    const AlignedArray<float>& k_norm = weights.layers[owner].k_norm;
    if (a.qk_norm != HeadNorm::each_head || a.value_is_key || a.shares_with >= 0 || k_norm.empty()) continue;
    bool all_normed = true;
    for (size_t i = 0; i < weights.layers.size(); ++i) all_normed &= !reads(i, owner) || weights.layers[i].q_norm.size() == k_norm.size();
    if (!all_normed) continue;
    const Rope* rope = a.rope < 0 ? nullptr : &spec.ropes[static_cast<size_t>(a.rope)];
    const std::vector<float> factors = factors_of(rope, weights.layers[owner].q_norm, k_norm);
    for (size_t d = 0; d < factors.size(); ++d) weights.layers[owner].k_norm.data()[d] *= factors[d];
    for (size_t i = 0; i < weights.layers.size(); ++i) {
      for (size_t d = 0; reads(i, owner) && d < factors.size(); ++d) weights.layers[i].q_norm.data()[d] /= factors[d];
    }
  }
}

}  // namespace fovea::model
