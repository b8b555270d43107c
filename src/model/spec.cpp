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
  return {attention.kv_heads, attention.head_dim + turning, attention.head_dim};
}

}  // namespace fovea::model
