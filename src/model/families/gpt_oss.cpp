// GPT-OSS: local and global layers by turns, a learned sink per head, experts with biases and a clamped activation.
#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr int kPattern = 2;
constexpr int kWindow = 128;
constexpr float kRopeBase = 150'000;
constexpr HuggingFaceDefaults kDefaults{.vocabulary = 201'088,
                                        .hidden = 2880,
                                        .width = 2880,
                                        .layers = 36,
                                        .q_heads = 64,
                                        .kv_heads = 8,
                                        .head_dim = 64,
                                        .context_tokens = 131'072,
                                        .norm_eps = 1e-5f};

// The weights of the chosen are a softmax over them alone: that of all experts, divided by the sum of the chosen.
ModelSpec finish(ModelSpec spec, ExpertsSpec experts, Rope rope) {
  experts.normalized = true;
  set_experts(spec, experts);
  for (LayerSpec& layer : spec.layers) {
    layer.attention.sinks = true;
    layer.feed_forward.activation = Activation::silu_clamped;
  }
  return with_rope(std::move(spec), std::move(rope));
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "gpt-oss");
  const int window = gguf_window(file);
  set_windows(spec, gguf_local_layers(file, spec.layers.size(), window, kPattern), window);
  gguf_attention_biases(spec.names, true);
  gguf_expert_names(spec.names);
  spec.names.sinks = "blk.%d.attn_sinks.weight";
  spec.names.ffn_norm = "blk.%d.post_attention_norm.weight";
  spec.names.router_bias = "blk.%d.ffn_gate_inp.bias";
  spec.names.expert_gate_bias = "blk.%d.ffn_gate_exps.bias";
  spec.names.expert_up_bias = "blk.%d.ffn_up_exps.bias";
  spec.names.expert_down_bias = "blk.%d.ffn_down_exps.bias";
  const int dims = gguf_rope_dims(file, head_dim(spec));
  RopeScaling scaling = gguf_rope_scaling(file);
  scaling.truncate = false;  // files do not say; the published models ask for this
  Rope rope = make_rope(Rope::Pairing::half, dims, rope_base_or(file, "rope.freq_base", kRopeBase), scaling);
  const ExpertsSpec experts = gguf_experts(file, spec);
  return finish(std::move(spec), experts, std::move(rope));
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  require_activation(file, "hidden_act", "silu");
  ModelSpec spec = hugging_face_decoder(file, "gpt_oss", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  const std::vector<bool> local = hugging_face_local_layers(file, local_by_period(spec.layers.size(), kPattern));
  set_windows(spec, local, hugging_face_window(file, kWindow));
  attention_biases(spec.names, true);
  spec.names.sinks = "model.layers.%d.self_attn.sinks";
  spec.names.router = "model.layers.%d.mlp.router.weight";
  spec.names.router_bias = "model.layers.%d.mlp.router.bias";
  spec.names.expert_gate_up = "model.layers.%d.mlp.experts.gate_up_proj";
  spec.names.expert_gate_up_bias = "model.layers.%d.mlp.experts.gate_up_proj_bias";
  spec.names.expert_down = "model.layers.%d.mlp.experts.down_proj";
  spec.names.expert_down_bias = "model.layers.%d.mlp.experts.down_proj_bias";
  spec.names.experts_by_input = spec.names.expert_rows_alternate = true;
  Rope rope = hugging_face_rope(file, Rope::Pairing::half, head_dim(spec), spec.context_tokens, kRopeBase);
  const ExpertsSpec experts = experts_of(file, "num_local_experts", "num_experts_per_tok", "intermediate_size", kDefaults.width);
  return finish(std::move(spec), experts, std::move(rope));
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  GgufKeys keys = plain_keys("gpt-oss", hugging_face_view(metadata), spec);
  keys.windows(kPattern);
  return keys.take();
}

}  // namespace

Family gpt_oss_family() { return {"gpt_oss", "gpt-oss", {"gpt_oss"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
