#include "engine/model_facts.h"

#include "kernels/kv_layout.h"
#include "model/forward.h"
#include "model/tensor_lookup.h"

namespace fovea {
namespace {

std::string kind_of(const model::LayerSpec& layer) {
  if (layer.state.inner > 0) return "state";
  if (layer.attention.latent.kv_rank > 0) return "latent";
  if (layer.attention.chunk > 0) return "chunked";
  return layer.attention.window == model::kWholePast ? "global" : "local";
}

void add_rope(const model::ModelSpec& spec, const model::AttentionSpec& attention, LayerFacts& facts) {
  if (attention.rope < 0) return;
  const model::Rope& rope = spec.ropes[static_cast<size_t>(attention.rope)];
  facts.rope_base = rope.base;
  facts.rope_scale = rope.scale;
  facts.rope_dims = 2 * model::turning_pairs(rope);
}

LayerFacts layer_facts(const model::ModelSpec& spec, int index) {
  const model::LayerSpec& layer = spec.layers[static_cast<size_t>(index)];
  const model::AttentionSpec& attention = layer.attention;
  LayerFacts facts;
  facts.index = index;
  facts.kind = kind_of(layer);
  facts.experts = layer.feed_forward.experts.count;
  facts.experts_used = layer.feed_forward.experts.used;
  if (layer.state.inner > 0) {
    facts.state_bytes = layer.state.floats() * static_cast<int64_t>(sizeof(float));
    return facts;
  }
  if (const int reach = attention.chunk > 0 ? attention.chunk : attention.window; reach != model::kWholePast) facts.window = reach;
  facts.q_heads = attention.q_heads;
  facts.kv_heads = attention.kv_heads;
  facts.head_dim = attention.head_dim;
  add_rope(spec, attention, facts);
  facts.sinks = attention.sinks;
  facts.score_softcap = attention.score_softcap;
  if (attention.shares_with >= 0) facts.shares_with = attention.shares_with;
  const model::StoredHeads stored = model::stored_heads(spec, index);
  facts.values_in_keys = stored.values_in_key > 0;
  if (stored.kv_heads > 0) {
    facts.cache_bytes_per_token = stored.layout(KvCodec::bf16).bytes_per_token();
  }
  return facts;
}

}  // namespace

ModelFacts model_facts(const model::ModelSpec& spec, const files::ModelFiles& files) {
  ModelFacts facts;
  facts.path = files.path;
  facts.family = spec.family;
  facts.name = spec.name;
  facts.context_tokens = spec.context_tokens;
  facts.vocabulary = spec.vocabulary;
  facts.hidden = spec.hidden;
  const files::Tensor* embedding = model::find_tensor(files.tensors, spec.names.embedding);
  if (facts.vocabulary == 0 && embedding) facts.vocabulary = static_cast<int>(embedding->shape[0]);
  facts.tied_embeddings = model::find_tensor(files.tensors, spec.names.head) == nullptr;
  for (size_t i = 0; i < spec.layers.size(); ++i) facts.layers.push_back(layer_facts(spec, static_cast<int>(i)));
  for (const auto& [name, tensor] : files.tensors.all()) {
    for (TensorTotals* totals : {&facts.tensors, &facts.tensors_by_format[std::string(fovea::facts(tensor.format).name)]}) {
      totals->tensors += 1;
      totals->values += tensor.values();
      totals->bytes += static_cast<int64_t>(tensor.bytes.size());
    }
  }
  return facts;
}

}  // namespace fovea
