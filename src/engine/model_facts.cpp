#include "engine/model_facts.h"

#include "kernels/kv_layout.h"
#include "model/tensor_lookup.h"

namespace fovea {
namespace {

LayerFacts layer_facts(const model::ModelSpec& spec, int index) {
  const model::AttentionSpec& attention = spec.layers[static_cast<size_t>(index)].attention;
  LayerFacts facts;
  facts.index = index;
  facts.kind = attention.window == model::kWholePast ? "global" : "local";
  if (attention.window != model::kWholePast) facts.window = attention.window;
  facts.q_heads = attention.q_heads;
  facts.kv_heads = attention.kv_heads;
  facts.head_dim = attention.head_dim;
  if (attention.rope >= 0) {
    facts.rope_base = spec.ropes[static_cast<size_t>(attention.rope)].base;
    facts.rope_scale = spec.ropes[static_cast<size_t>(attention.rope)].scale;
  }
  facts.cache_bytes_per_token =
      kernels::KvLayout{KvCodec::f16, attention.kv_heads, attention.head_dim}.bytes_per_token();
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
    for (TensorTotals* totals :
         {&facts.tensors, &facts.tensors_by_format[std::string(fovea::facts(tensor.format).name)]}) {
      totals->tensors += 1;
      totals->values += tensor.values();
      totals->bytes += static_cast<int64_t>(tensor.bytes.size());
    }
  }
  return facts;
}

}  // namespace fovea
