// Qwen 2, 2.5 and 3, dense and of experts: pre-norm layers; biases on q, k and v before 3, norms on heads from 3 on. Qwen 2 has a
// dense feed-forward beside its experts.
#include <algorithm>

#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr HuggingFaceDefaults kQwen2{.vocabulary = 151'936,
                                     .hidden = 4096,
                                     .width = 22'016,
                                     .layers = 32,
                                     .q_heads = 32,
                                     .kv_heads = 32,
                                     .context_tokens = 32'768,
                                     .norm_eps = 1e-6f};
constexpr HuggingFaceDefaults kQwen2Moe{.vocabulary = 151'936,
                                        .hidden = 2048,
                                        .width = 5632,
                                        .layers = 24,
                                        .q_heads = 16,
                                        .kv_heads = 16,
                                        .context_tokens = 32'768,
                                        .norm_eps = 1e-6f};
constexpr HuggingFaceDefaults kQwen3{.vocabulary = 151'936,
                                     .hidden = 4096,
                                     .width = 22'016,
                                     .layers = 32,
                                     .q_heads = 32,
                                     .kv_heads = 32,
                                     .head_dim = 128,
                                     .context_tokens = 32'768,
                                     .norm_eps = 1e-6f};

ModelSpec gguf(const ConfigView& file, const char* family) {
  ModelSpec spec = gguf_decoder(file, family);
  Rope rope = gguf_rope(file, Rope::Pairing::half, head_dim(spec));
  return with_rope(std::move(spec), std::move(rope));
}

// A window counts only when it is asked for, and then from layer max_window_layers on.
std::vector<bool> local_layers(const ConfigView& file, size_t layers) {
  if (!file.flag("use_sliding_window", false)) return std::vector<bool>(layers, false);
  const int first = file.file().integer(file.key("max_window_layers"), 28);
  std::vector<bool> local(layers);
  for (size_t i = 0; i < layers; ++i) local[i] = static_cast<int>(i) >= first;
  return hugging_face_local_layers(file, local);
}

ModelSpec hugging_face(const ConfigView& file, const char* family, const HuggingFaceDefaults& defaults) {
  require_activation(file, "hidden_act", "silu");
  ModelSpec spec = hugging_face_decoder(file, family, defaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  set_windows(spec, local_layers(file, spec.layers.size()), file.size_or("sliding_window", 4096));
  Rope rope = hugging_face_rope(file, Rope::Pairing::half, head_dim(spec), spec.context_tokens);
  return with_rope(std::move(spec), std::move(rope));
}

ModelSpec with_head_norms(ModelSpec spec) {
  for (LayerSpec& layer : spec.layers) layer.attention.qk_norm = HeadNorm::each_head;
  return spec;
}

ModelSpec qwen2_gguf(const files::Metadata& metadata) {
  ModelSpec spec = gguf(gguf_view(metadata), "qwen2");
  gguf_attention_biases(spec.names, false);
  return spec;
}

ModelSpec qwen2_hugging_face(const files::Metadata& metadata) {
  ModelSpec spec = hugging_face(hugging_face_view(metadata), "qwen2", kQwen2);
  attention_biases(spec.names, false);
  return spec;
}

ModelSpec qwen3_gguf(const files::Metadata& metadata) {
  ModelSpec spec = with_head_norms(gguf(gguf_view(metadata), "qwen3"));
  gguf_head_norms(spec.names);
  return spec;
}

ModelSpec qwen3_of(const files::Metadata& metadata, const char* family) {
  const ConfigView file = hugging_face_view(metadata);
  ModelSpec spec = with_head_norms(hugging_face(file, family, kQwen3));
  if (file.flag("attention_bias", false)) attention_biases(spec.names, true);
  head_norms(spec.names);
  return spec;
}

ModelSpec qwen3_hugging_face(const files::Metadata& metadata) { return qwen3_of(metadata, "qwen3"); }

ModelSpec qwen3_moe_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = with_head_norms(gguf(file, "qwen3moe"));
  gguf_head_norms(spec.names);
  gguf_expert_names(spec.names);
  ExpertsSpec experts = gguf_experts(file, spec);
  experts.normalized = file.flag("expert_weights_norm", true);
  set_experts(spec, experts);
  return spec;
}

// Every decoder_sparse_step-th layer has experts, but those that are listed.
void experts_of_some_layers(const ConfigView& file, int width, ModelSpec& spec) {
  const std::vector<int> dense = file.file().integers(file.key("mlp_only_layers"));
  const auto every = static_cast<size_t>(file.size_or("decoder_sparse_step", 1));
  ExpertsSpec experts = experts_of(file, "num_experts", "num_experts_per_tok", "moe_intermediate_size", width);
  experts.normalized = file.flag("norm_topk_prob", false);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const bool listed = std::find(dense.begin(), dense.end(), static_cast<int>(i)) != dense.end();
    if (!listed && (i + 1) % every == 0) set_experts(spec.layers[i], experts);
  }
  expert_names(spec.names, "mlp");
}

ModelSpec qwen3_moe_hugging_face(const files::Metadata& metadata) {
  ModelSpec spec = qwen3_of(metadata, "qwen3_moe");
  experts_of_some_layers(hugging_face_view(metadata), 768, spec);
  return spec;
}

void put_dense_beside_experts(int width, const std::string& prefix, const char* weight, ModelSpec& spec) {
  for (LayerSpec& layer : spec.layers) {
    if (layer.feed_forward.experts.count > 0) layer.feed_forward.width = width;
    layer.feed_forward.weighed = layer.feed_forward.experts.count > 0;
  }
  spec.names.dense_weight = weight;
  const bool gguf = prefix.starts_with("blk");
  spec.names.shared_gate = prefix + (gguf ? "gate_shexp.weight" : "gate_proj.weight");
  spec.names.shared_up = prefix + (gguf ? "up_shexp.weight" : "up_proj.weight");
  spec.names.shared_down = prefix + (gguf ? "down_shexp.weight" : "down_proj.weight");
}

ModelSpec qwen2_moe_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf(file, "qwen2moe");
  gguf_attention_biases(spec.names, false);
  gguf_expert_names(spec.names);
  const int width = file.size_or("expert_shared_feed_forward_length", spec.layers.front().feed_forward.width);
  set_experts(spec, gguf_experts(file, spec));
  put_dense_beside_experts(width, "blk.%d.ffn_", "blk.%d.ffn_gate_inp_shexp.weight", spec);
  return spec;
}

ModelSpec qwen2_moe_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  ModelSpec spec = hugging_face(file, "qwen2_moe", kQwen2Moe);
  if (file.flag("qkv_bias", true)) attention_biases(spec.names, false);
  experts_of_some_layers(file, 1408, spec);
  put_dense_beside_experts(file.size_or("shared_expert_intermediate_size", kQwen2Moe.width), "model.layers.%d.mlp.shared_expert.",
                           "model.layers.%d.mlp.shared_expert_gate.weight", spec);
  return spec;
}

GgufOutline qwen2_to_gguf(const files::Metadata& config, const ModelSpec& spec) {
  return plain_keys("qwen2", hugging_face_view(config), spec).take();
}
GgufOutline qwen3_to_gguf(const files::Metadata& config, const ModelSpec& spec) {
  return plain_keys("qwen3", hugging_face_view(config), spec).take();
}
GgufOutline qwen2_moe_to_gguf(const files::Metadata& config, const ModelSpec& spec) {
  GgufKeys keys = plain_keys("qwen2moe", hugging_face_view(config), spec);
  keys.count("expert_shared_feed_forward_length", spec.layers.back().feed_forward.width);
  return keys.take();
}
GgufOutline qwen3_moe_to_gguf(const files::Metadata& config, const ModelSpec& spec) {
  return plain_keys("qwen3moe", hugging_face_view(config), spec).take();
}

}  // namespace

Family qwen2_family() { return {"qwen2", "qwen2", {"qwen2"}, qwen2_gguf, qwen2_hugging_face, qwen2_to_gguf}; }
Family qwen2_moe_family() { return {"qwen2_moe", "qwen2moe", {"qwen2_moe"}, qwen2_moe_gguf, qwen2_moe_hugging_face, qwen2_moe_to_gguf}; }
Family qwen3_family() { return {"qwen3", "qwen3", {"qwen3"}, qwen3_gguf, qwen3_hugging_face, qwen3_to_gguf}; }
Family qwen3_moe_family() { return {"qwen3_moe", "qwen3moe", {"qwen3_moe"}, qwen3_moe_gguf, qwen3_moe_hugging_face, qwen3_moe_to_gguf}; }

}  // namespace fovea::model
