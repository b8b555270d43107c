#include "eval/work_estimate.h"

#include <algorithm>

#include "kernels/kv_layout.h"

namespace fovea::eval {
namespace {

// LayerFacts count cache bytes with 16 bits.
double scale_from_16_bits(const LayerFacts& layer, KvCodecs codec) {
  if (layer.head_dim == 0) return 1;
  const auto bytes = [&](KvCodecs codecs) {
    kernels::KvLayout head = {codecs, 1, layer.head_dim, layer.values_in_keys ? layer.head_dim : 0};
    if (layer.values_in_keys && layer.kind != "latent") head.turned = layer.rope_dims;
    return static_cast<double>(head.bytes_per_token());
  };
  return bytes(codec) / bytes(KvCodec::bf16);
}

// Keys that the query at `position` sees, itself included.
double keys_seen(const LayerFacts& layer, const EvictionOptions& eviction, int64_t position) {
  int64_t most = layer.window ? *layer.window : position + 1;
  const int budget = layer.window ? eviction.local_budget_tokens : eviction.budget_tokens;
  if (eviction.policy != EvictionPolicy::none && budget > 0) most = std::min<int64_t>(most, budget);
  return static_cast<double>(std::min(position + 1, most));
}

// Distinct keys that the queries at first .. first + tokens - 1 see together.
double keys_read(const LayerFacts& layer, const EvictionOptions& eviction, int64_t first, int tokens) {
  return keys_seen(layer, eviction, first) + (tokens - 1);
}

double cache_bytes(const std::vector<LayerFacts>& layers, const LayerFacts& layer) {
  const LayerFacts& owner = layer.shares_with ? layers[static_cast<size_t>(*layer.shares_with)] : layer;
  return static_cast<double>(owner.cache_bytes_per_token);
}

// Rows whose logits nobody wants attend in layers before this one.
size_t last_stored(const std::vector<LayerFacts>& layers) {
  size_t last = layers.size();
  while (last > 1 && layers[last - 1].shares_with) --last;
  return last - 1;
}

}  // namespace

WorkEstimate::WorkEstimate(const ModelFacts& facts, const WeightWork& weights, const EngineOptions& options)
    : facts_(facts),
      last_stored_(last_stored(facts.layers)),
      weights_bytes_(static_cast<double>(weights.bytes)),
      layer_macs_(static_cast<double>(weights.layer_macs)),
      stored_macs_(static_cast<double>(weights.stored_macs)),
      logit_macs_(static_cast<double>(facts.vocabulary) * facts.hidden),
      kv_local_(options.kv_local),
      kv_global_(options.kv_global),
      eviction_(options.eviction) {}

Work WorkEstimate::step(int first_position, int tokens, int logit_rows) const {
  Work work{weights_bytes_, stored_macs_ * (tokens - logit_rows) + (layer_macs_ + logit_macs_) * logit_rows};
  for (size_t i = 0; i < facts_.layers.size(); ++i) {
    const LayerFacts& layer = facts_.layers[i];
    const int attending = i < last_stored_ ? tokens : logit_rows, first = first_position + tokens - attending;
    if (attending == 0) continue;
    const double scale = scale_from_16_bits(layer, layer.window ? kv_local_ : kv_global_);
    work.bytes += cache_bytes(facts_.layers, layer) * scale * keys_read(layer, eviction_, first, attending);
    double pairs = 0;
    for (int k = 0; k < attending; ++k) pairs += keys_seen(layer, eviction_, static_cast<int64_t>(first) + k);
    work.macs += 2.0 * pairs * layer.q_heads * layer.head_dim;  // scores, and the sum of values
  }
  return work;
}

}  // namespace fovea::eval
