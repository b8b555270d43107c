// Gemma 4 (text): local layers with small heads, global layers with large ones whose values are their keys before norm and rope; the
// newest layers may read the keys and values of older ones; per-layer embeddings, or experts beside the dense feed-forward.
#include <algorithm>
#include <cmath>

#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gemma_layers.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr int kPattern = 6;
constexpr int kWindow = 512;
constexpr float kGlobalBase = 1'000'000, kLocalBase = 10'000;
constexpr float kTurningShare = 0.25f;
constexpr int kGlobalHead = 512;
constexpr HuggingFaceDefaults kDefaults{.vocabulary = 262'144,
                                        .hidden = 2304,
                                        .width = 9216,
                                        .layers = 30,
                                        .q_heads = 8,
                                        .kv_heads = 4,
                                        .head_dim = 256,
                                        .context_tokens = 131'072,
                                        .norm_eps = 1e-6f};

// What both containers share; heads of global layers are set already.
void finish(ModelSpec& spec, const std::vector<bool>& local, int window, int shared) {
  gemma_scaling(spec);
  set_windows(spec, local, window);
  share_last_layers(spec, local, shared);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    AttentionSpec& attention = spec.layers[i].attention;
    attention.rope = local[i] ? kLocalRope : kGlobalRope;
    attention.score_scale = 1;
    attention.qk_norm = HeadNorm::each_head;
    attention.value_norm = true;
    spec.layers[i].scaled_output = true;
  }
}

// ---- GGUF

Rope gguf_global_rope(const ConfigView& file, int head_dim) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::none;  // the file's divisors say which pairs turn
  Rope rope = make_rope(Rope::Pairing::half, head_dim, rope_base_or(file, "rope.freq_base", kGlobalBase), scaling);
  rope.divisors = "rope_freqs.weight";
  return rope;
}

void gguf_experts_beside(const ConfigView& file, ModelSpec& spec) {
  if (file.file().integer(file.key("expert_count"), 0) == 0) return;
  ExpertsSpec experts = gguf_experts(file, spec);
  experts.normalized = experts.own_norms = true;
  for (LayerSpec& layer : spec.layers) layer.feed_forward.experts = experts;
  TensorNames& names = spec.names;
  names.router = "blk.%d.ffn_gate_inp.weight";
  names.router_scale = "blk.%d.ffn_gate_inp.scale";
  names.expert_scale = "blk.%d.ffn_down_exps.scale";
  names.expert_gate_up = "blk.%d.ffn_gate_up_exps.weight";
  names.expert_down = "blk.%d.ffn_down_exps.weight";
  names.expert_norm = "blk.%d.pre_ffw_norm_2.weight";
  names.dense_post_norm = "blk.%d.post_ffw_norm_1.weight";
  names.expert_post_norm = "blk.%d.post_ffw_norm_2.weight";
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "gemma4");
  const int window = file.size("attention.sliding_window");
  const std::vector<bool> local = gguf_local_layers(file, spec.layers.size(), window, kPattern);
  const int global_head = head_dim(spec), local_head = file.size_or("attention.key_length_swa", global_head);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    spec.layers[i].attention.head_dim = local[i] ? local_head : global_head;
  }
  spec.ropes = {gguf_global_rope(file, global_head),
                make_rope(Rope::Pairing::half, local_head, rope_base_or(file, "rope.freq_base_swa", kLocalBase))};
  finish(spec, local, window, file.file().integer(file.key("attention.shared_kv_layers"), 0));
  spec.final_softcap = file.not_negative_or("final_logit_softcapping", 30);
  gguf_head_norms(spec.names);
  gguf_post_norms(spec.names);
  spec.names.output_scale = "blk.%d.layer_output_scale.weight";
  gguf_layer_inputs(file, spec);
  gguf_experts_beside(file, spec);
  spec.names.values_where_found = true;  // global layers without a matrix for values take them from their keys
  return spec;
}

// ---- config.json

// Global layers have heads of their own size, and their own number of K/V heads where values are keys.
void set_global_heads(const ConfigView& file, const std::vector<bool>& local, ModelSpec& spec) {
  const bool value_is_key = file.flag("attention_k_eq_v", false);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if (local[i]) continue;
    AttentionSpec& attention = spec.layers[i].attention;
    attention.head_dim = file.size_or("global_head_dim", kGlobalHead, 1 << 16);
    attention.value_is_key = value_is_key;
    if (value_is_key && file.has("num_global_key_value_heads")) attention.kv_heads = file.size("num_global_key_value_heads");
    const std::string own = "per_layer_config." + std::to_string(i);
    attention.head_dim = file.size_or(own + ".head_dim", attention.head_dim, 1 << 16);
    attention.kv_heads = file.size_or(own + ".num_key_value_heads", attention.kv_heads);
    if (attention.q_heads % attention.kv_heads != 0) {
      file.refuse("num_global_key_value_heads", "does not divide the " + std::to_string(attention.q_heads) + " query heads");
    }
  }
}

Rope global_rope(const ConfigView& file, int head_dim) {
  const std::string dict = "rope_parameters.full_attention";
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::proportional;
  scaling.turning = file.positive_or(dict + ".partial_rotary_factor", kTurningShare);
  scaling.factor = file.positive_or(dict + ".factor", 1);
  const std::string type = file.text_or(dict + ".rope_type", "proportional");
  if (type != "proportional") file.refuse_as_not_computed(dict + ".rope_type", "asks for another rope");
  return make_rope(Rope::Pairing::half, head_dim, rope_base_or(file, dict + ".rope_theta", kGlobalBase), scaling);
}

void experts_beside(const ConfigView& file, ModelSpec& spec) {
  ExpertsSpec experts = experts_of(file, "num_experts", "top_k_experts", "moe_intermediate_size", 704);
  experts.normalized = experts.own_norms = true;
  for (LayerSpec& layer : spec.layers) layer.feed_forward.experts = experts;
  const std::string layer = "model.layers.%d.";
  TensorNames& names = spec.names;
  names.router = layer + "router.proj.weight";
  names.router_scale = layer + "router.scale";
  names.expert_scale = layer + "router.per_expert_scale";
  names.expert_gate_up = layer + "experts.gate_up_proj";
  names.expert_down = layer + "experts.down_proj";
  names.expert_norm = layer + "pre_feedforward_layernorm_2.weight";
  names.dense_post_norm = layer + "post_feedforward_layernorm_1.weight";
  names.expert_post_norm = layer + "post_feedforward_layernorm_2.weight";
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  require_activation(file, "hidden_activation", "gelu_pytorch_tanh");
  ModelSpec spec = hugging_face_decoder(file, "gemma4", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, true);
  std::vector<bool> by_period = local_by_period(spec.layers.size(), kPattern);
  by_period.back() = false;
  const std::vector<bool> local = hugging_face_local_layers(file, by_period);
  const int shared = file.file().integer(file.key("num_kv_shared_layers"), 0);
  set_global_heads(file, local, spec);
  spec.ropes = {Rope(), make_rope(Rope::Pairing::half, file.size_or("head_dim", kDefaults.head_dim),
                                  rope_base_or(file, "rope_parameters.sliding_attention.rope_theta", kLocalBase))};
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if (!local[i] && spec.ropes[kGlobalRope].dims == 0) spec.ropes[kGlobalRope] = global_rope(file, spec.layers[i].attention.head_dim);
  }
  finish(spec, local, hugging_face_window(file, kWindow), shared);
  if (file.flag("use_double_wide_mlp", false)) {
    for (LayerSpec& layer : spec.layers) layer.feed_forward.width *= layer.attention.shares_with >= 0 ? 2 : 1;
  }
  spec.final_softcap = file.not_negative_or("final_logit_softcapping", 0);
  head_norms(spec.names);
  sandwich_norms(spec.names);
  spec.names.output_scale = "model.layers.%d.layer_scalar";
  layer_inputs(file, spec);
  if (file.flag("enable_moe_block", false)) experts_beside(file, spec);
  return spec;
}

// ---- from config.json to GGUF

// Heads differ by kind of layer, and the plain keys are those of global layers.
void add_heads(GgufKeys& keys, const ModelSpec& spec, const std::vector<bool>& local) {
  std::vector<int> kv_heads;
  int global_head = head_dim(spec), local_head = global_head;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    kv_heads.push_back(spec.layers[i].attention.kv_heads);
    (local[i] ? local_head : global_head) = spec.layers[i].attention.head_dim;
  }
  keys.count("attention.head_count", spec.layers.front().attention.q_heads);
  keys.per_layer("attention.head_count_kv", kv_heads);
  for (const char* name : {"attention.key_length", "attention.value_length", "rope.dimension_count"}) {
    keys.count(name, global_head);
    keys.count(std::string(name) + "_swa", local_head);
  }
}

// Pairs that do not turn have a divisor beyond all measure.
std::vector<float> divisors_of(const Rope& rope) {
  constexpr float kNever = 1e30f;
  std::vector<float> divisors;
  for (size_t k = 0; k < rope.frequencies.size(); ++k) {
    const double plain = std::pow(static_cast<double>(rope.base), -2.0 * static_cast<double>(k) / rope.dims);
    divisors.push_back(rope.frequencies[k] > 0 ? static_cast<float>(plain / rope.frequencies[k]) : kNever);
  }
  return divisors;
}

GgufOutline to_gguf(const files::Metadata&, const ModelSpec& spec) {
  std::vector<bool> local;
  for (const LayerSpec& layer : spec.layers) local.push_back(layer.attention.window != kWholePast);
  GgufKeys keys("gemma4", spec);
  add_heads(keys, spec, local);
  keys.widths(0);
  keys.windows(0);
  keys.number("rope.freq_base", spec.ropes[kGlobalRope].base);
  keys.number("rope.freq_base_swa", spec.ropes[kLocalRope].base);
  keys.tensor("rope_freqs.weight", divisors_of(spec.ropes[kGlobalRope]));
  keys.count("attention.shared_kv_layers",
             static_cast<int>(std::count_if(spec.layers.begin(), spec.layers.end(),
                                            [](const LayerSpec& layer) { return layer.attention.shares_with >= 0; })));
  keys.count("embedding_length_per_layer_input", spec.layer_input.width);
  keys.number("final_logit_softcapping", spec.final_softcap);
  const ExpertsSpec& experts = spec.layers.front().feed_forward.experts;
  if (experts.count > 0) keys.experts(experts);
  return keys.take();
}

}  // namespace

Family gemma4_family() {
  return {"gemma4", "gemma4", {"gemma4_text", "gemma4", "gemma4_unified_text", "gemma4_unified"}, from_gguf, from_hugging_face, to_gguf};
}

}  // namespace fovea::model
