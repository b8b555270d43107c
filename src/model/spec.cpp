#include "model/spec.h"

#include <algorithm>

namespace fovea::model {

int turning_pairs(const Rope& rope) {
  return static_cast<int>(std::count_if(rope.frequencies.begin(), rope.frequencies.end(), [](double f) { return f > 0; }));
}

StoredHeads stored_heads(const ModelSpec& spec, int layer) {
  const LayerSpec& facts = spec.layers[static_cast<size_t>(layer)];
  const AttentionSpec& attention = facts.attention;
  if (facts.state.inner > 0 || attention.shares_with >= 0) return {0, 0, 0};
  if (attention.latent.kv_rank > 0) {
    return {1, attention.latent.kv_rank + attention.latent.rope_dim, attention.latent.kv_rank};
  }
  if (!attention.value_is_key) return {attention.kv_heads, attention.head_dim, 0};
  const int turning = attention.rope < 0 ? 0 : 2 * turning_pairs(spec.ropes[static_cast<size_t>(attention.rope)]);
  return {attention.kv_heads, attention.head_dim, attention.head_dim, turning};
}

StoredOrder stored_order(const ModelSpec& spec, int layer) {
  const AttentionSpec& a = spec.layers[static_cast<size_t>(layer)].attention;
  StoredOrder stored;
  if (!a.value_is_key || a.shares_with >= 0) return stored;
  std::vector<bool> turns(static_cast<size_t>(a.head_dim));
  const auto take = [&](int dimension) {
    turns[static_cast<size_t>(dimension)] = true;
    stored.order.push_back(dimension);
  };
  if (a.rope >= 0) {
    const Rope& rope = spec.ropes[static_cast<size_t>(a.rope)];
    const bool half = rope.pairing == Rope::Pairing::half;
    for (int k = 0; k < rope.dims / 2; ++k) {
      if (!(rope.frequencies[static_cast<size_t>(k)] > 0)) continue;
      take(half ? k : 2 * k);
      take(half ? k + rope.dims / 2 : 2 * k + 1);
      ++stored.pairs;
    }
  }
  for (int d = 0; d < a.head_dim; ++d) {
    if (!turns[static_cast<size_t>(d)]) stored.order.push_back(d);
  }
  stored.places.resize(stored.order.size());
  for (size_t i = 0; i < stored.order.size(); ++i) stored.places[static_cast<size_t>(stored.order[i])] = static_cast<int>(i);
  return stored;
}

int last_storing_layer(const ModelSpec& spec) {
  for (int i = static_cast<int>(spec.layers.size()) - 1; i > 0; --i) {
    if (spec.layers[static_cast<size_t>(i)].attention.shares_with < 0) return i;
  }
  return 0;
}

}  // namespace fovea::model
