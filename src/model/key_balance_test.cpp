#include "model/key_balance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace fovea::model {
namespace {

AlignedArray<float> numbers(int count, uint32_t seed, double spread) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, spread);
  AlignedArray<float> result(static_cast<size_t>(count));
  for (float& x : result.span()) x = static_cast<float>(std::exp2(normal(random)));
  return result;
}

AttentionSpec normed(int shares_with = -1) {
  AttentionSpec a;
  a.qk_norm = HeadNorm::each_head;
  a.head_dim = 24;
  a.rope = 0;
  a.shares_with = shares_with;
  return a;
}

// Layers 0 and 1 with keys of their own, 2 reads those of 0.
struct Model {
  ModelSpec spec;
  Weights weights;

  explicit Model(Rope::Pairing pairing) {
    spec.ropes.resize(1);
    spec.ropes[0].pairing = pairing;
    spec.ropes[0].dims = 16;
    for (const AttentionSpec& a : {normed(), normed(), normed(0)}) {
      spec.layers.emplace_back();
      spec.layers.back().attention = a;
      LayerWeights w;
      const auto seed = static_cast<uint32_t>(spec.layers.size());
      w.q_norm = numbers(24, seed, 2);
      if (a.shares_with < 0) w.k_norm = numbers(24, 100 + seed, 2);
      weights.layers.push_back(std::move(w));
    }
  }
  float q(size_t layer, size_t d) const { return weights.layers[layer].q_norm.data()[d]; }
  float k(size_t layer, size_t d) const { return weights.layers[layer].k_norm.data()[d]; }
};

double unlikeness(const Model& model, size_t layer, size_t d, size_t other) {
  const auto power = [&](auto part) { return part(d) * part(d) + part(other) * part(other); };
  return std::fabs(0.5 *
                   std::log2(power([&](size_t i) { return model.q(layer, i); }) / power([&](size_t i) { return model.k(layer, i); })));
}

TEST(BalanceKeys, MakesSizesAlikeAndLeavesEveryProductAsItIs) {
  for (const auto pairing : {Rope::Pairing::half, Rope::Pairing::adjacent}) {
    const Model before(pairing);
    Model after(pairing);
    balance_keys(after.spec, after.weights);
    int changed = 0;
    for (size_t d = 0; d < 24; ++d) {
      const size_t other = d >= 16 ? d : pairing == Rope::Pairing::adjacent ? d ^ 1 : (d + 8) % 16;
      for (const size_t layer : {0, 1}) {
        EXPECT_EQ(after.q(layer, d) * after.k(layer, d), before.q(layer, d) * before.k(layer, d));
        EXPECT_EQ(after.k(layer, d) / before.k(layer, d), after.k(layer, other) / before.k(layer, other)) << "a pair turns together";
        EXPECT_LE(unlikeness(after, layer, d, other), 1.001);
        changed += after.k(layer, d) != before.k(layer, d);
      }
      EXPECT_EQ(after.q(2, d) * after.k(0, d), before.q(2, d) * before.k(0, d)) << "a layer that shares keys";
    }
    EXPECT_GT(changed, 10);
  }
}

TEST(BalanceKeys, LeavesLayersAloneWhoseReadersAreNotNormed) {
  Model model(Rope::Pairing::half);
  model.weights.layers[2].q_norm = {};
  balance_keys(model.spec, model.weights);
  const Model before(Rope::Pairing::half);
  for (size_t d = 0; d < 24; ++d) EXPECT_EQ(model.k(0, d), before.k(0, d));
}

}  // namespace
}  // namespace fovea::model
