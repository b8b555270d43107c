// What every decoder-only transformer states about itself, read and checked once for all families.
#pragma once

#include <vector>

#include "model/families/config_view.h"
#include "model/spec.h"

namespace fovea::model {

// What transformers' configuration class assumes for keys that config.json leaves out: nested files omit
// every key that equals it.
struct HuggingFaceDefaults {
  int vocabulary = 0;
  int hidden = 0;
  int width = 0;
  int layers = 0;
  int q_heads = 0;
  int kv_heads = 0;  // 0: as many as q_heads
  int head_dim = 0;  // 0: hidden / q_heads
  int context_tokens = 0;
  float norm_eps = 0;
};

// A spec with family, name, vocabulary, hidden, context_tokens, norm_eps, heads and widths of every layer,
// score_scale head_dim^-0.5 and the tensor names of a plain pre-norm decoder; the rest as spec.h defaults it.
// The family adds what sets it apart.
// value_size_is_own: values need not be as large as keys, nor every layer have K/V heads; the family sees to it.
ModelSpec gguf_decoder(const ConfigView& file, const char* family, bool value_size_is_own = false);
ModelSpec hugging_face_decoder(const ConfigView& file, const char* family, const HuggingFaceDefaults& defaults);

// The same without layers: what models without attention state too.
ModelSpec gguf_outline(const ConfigView& file, const char* family);
ModelSpec hugging_face_outline(const ConfigView& file, const char* family, const HuggingFaceDefaults& defaults);

// Whether the head may be the embedding matrix, as the language model or the whole around it says.
bool hugging_face_tied_head(const ConfigView& file, bool fallback);

// The rope becomes that of every layer, and the only one.
ModelSpec with_rope(ModelSpec spec, Rope rope);
inline int head_dim(const ModelSpec& spec) { return spec.layers.front().attention.head_dim; }

// Names of roles that several families share, as each container spells them.
void attention_biases(TensorNames& names, bool output);  // config.json spelling; q, k, v, and o where `output`
void gguf_attention_biases(TensorNames& names, bool output);
void gguf_attention_biases_if_found(TensorNames& names);  // the keys do not say
void head_norms(TensorNames& names);
void gguf_head_norms(TensorNames& names);
void sandwich_norms(TensorNames& names);  // before and after attention and feed-forward
void gguf_post_norms(TensorNames& names);
void expert_names(TensorNames& names, const std::string& block);  // "mlp": "model.layers.%d.mlp.experts.%e.gate_proj.weight"
void gguf_expert_names(TensorNames& names);

// Layers whose feed-forward is experts have no dense one beside them.
void set_experts(ModelSpec& spec, const ExpertsSpec& experts);
void set_experts(LayerSpec& layer, const ExpertsSpec& experts);
// count and used, checked.
ExpertsSpec experts_of(const ConfigView& file, const char* count, const char* used, const char* width, int width_fallback);
ExpertsSpec gguf_experts(const ConfigView& file, const ModelSpec& spec);

// Refuses every activation but `expected` (transformers' name), which is also assumed when the key is absent.
void require_activation(const ConfigView& file, std::string_view name, std::string_view expected);

}  // namespace fovea::model
