// DeepSeek V2 and V3: latent attention, and after the first layers experts beside a shared dense feed-forward.
#include <algorithm>
#include <cmath>

#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"

namespace fovea::model {
namespace {

constexpr HuggingFaceDefaults kV2{.vocabulary = 32'000,
                                  .hidden = 4096,
                                  .width = 11'008,
                                  .layers = 32,
                                  .q_heads = 32,
                                  .head_dim = 64,
                                  .context_tokens = 2048,
                                  .norm_eps = 1e-6f};
constexpr HuggingFaceDefaults kV3{.vocabulary = 129'280,
                                  .hidden = 7168,
                                  .width = 18'432,
                                  .layers = 61,
                                  .q_heads = 128,
                                  .kv_heads = 128,
                                  .head_dim = 64,
                                  .context_tokens = 4096,
                                  .norm_eps = 1e-6f};

void set_latent(ModelSpec& spec, const LatentSpec& latent, float scale) {
  for (LayerSpec& layer : spec.layers) {
    AttentionSpec& attention = layer.attention;
    attention.latent = latent;
    attention.kv_heads = 1;
    attention.head_dim = latent.plain_dim + latent.rope_dim;
    attention.score_scale = scale / std::sqrt(static_cast<float>(attention.head_dim));
  }
}

// ---- GGUF

void gguf_latent_names(TensorNames& names, bool narrow_q) {
  if (narrow_q) names.q = "blk.%d.attn_q_b.weight";
  names.q_narrow = "blk.%d.attn_q_a.weight";
  names.q_narrow_norm = "blk.%d.attn_q_a_norm.weight";
  names.kv_narrow = "blk.%d.attn_kv_a_mqa.weight";
  names.kv_narrow_norm = "blk.%d.attn_kv_a_norm.weight";
  names.k_up = "blk.%d.attn_k_b.weight";
  names.v_up = "blk.%d.attn_v_b.weight";
  names.kv_up = "blk.%d.attn_kv_b.weight";
  gguf_expert_names(names);
  names.shared_gate = "blk.%d.ffn_gate_shexp.weight";
  names.shared_up = "blk.%d.ffn_up_shexp.weight";
  names.shared_down = "blk.%d.ffn_down_shexp.weight";
}

ExpertsSpec gguf_deepseek_experts(const ConfigView& file, ModelSpec& spec) {
  ExpertsSpec experts = gguf_experts(file, spec);
  experts.scale = file.not_negative_or("expert_weights_scale", 1);
  if (experts.scale == 0) experts.scale = 1;
  experts.normalized = file.flag("expert_weights_norm", false);
  constexpr int kSigmoid = 2;
  if (file.file().integer(file.key("expert_gating_func"), 1) == kSigmoid) {
    experts.scores = ExpertsSpec::Scores::sigmoid;
    experts.group_score = ExpertsSpec::GroupScore::two_best;
    spec.names.choice_bias = "blk.%d.exp_probs_b.bias";
  }
  experts.groups = file.size_or("expert_group_count", 1);
  experts.groups_used = file.size_or("expert_group_used_count", 1);
  return experts;
}

// Beside yarn these files give 0.1 * mscale_all_dim: scores take its square, and cos and sin nothing, since mscale is as large.
float gguf_score_factor(const ConfigView& file, RopeScaling& scaling) {
  if (scaling.kind != RopeScaling::Kind::yarn) return 1;
  const float log_factor = file.not_negative_or("rope.scaling.yarn_log_multiplier", 0);
  if (log_factor == 0) return 1;
  scaling.magnitude = 1;
  const double m = 1 + log_factor * std::log(scaling.factor);
  return static_cast<float>(m * m);
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "deepseek2", true);
  LatentSpec latent;
  latent.kv_rank = file.size("attention.kv_lora_rank");
  latent.q_rank = file.file().integer(file.key("attention.q_lora_rank"), 0);
  latent.rope_dim = file.size("rope.dimension_count");
  latent.plain_dim = file.size("attention.key_length_mla") - latent.rope_dim;
  latent.value_dim = file.size("attention.value_length_mla");
  if (latent.plain_dim < 1) file.refuse("attention.key_length_mla", "leaves nothing beside the rotating dimensions");
  RopeScaling scaling = gguf_rope_scaling(file);
  set_latent(spec, latent, gguf_score_factor(file, scaling));
  spec = with_rope(std::move(spec),
                   make_rope(Rope::Pairing::adjacent, latent.rope_dim, rope_base_or(file, "rope.freq_base", 10'000), scaling));
  gguf_latent_names(spec.names, latent.q_rank > 0);
  const ExpertsSpec experts = gguf_deepseek_experts(file, spec);
  const int shared = file.file().integer(file.key("expert_shared_count"), 0);
  for (size_t i = static_cast<size_t>(file.file().integer(file.key("leading_dense_block_count"), 0)); i < spec.layers.size(); ++i) {
    spec.layers[i].feed_forward.experts = experts;
    spec.layers[i].feed_forward.width = shared * experts.width;
  }
  return spec;
}

// ---- config.json

LatentSpec latent_of(const ConfigView& file) {
  LatentSpec latent;
  latent.kv_rank = file.size_or("kv_lora_rank", 512);
  latent.q_rank = file.has("q_lora_rank") ? file.size("q_lora_rank") : 0;
  latent.plain_dim = file.size_or("qk_nope_head_dim", 128);
  latent.rope_dim = file.size_or("qk_rope_head_dim", 64);
  latent.value_dim = file.size_or("v_head_dim", 128);
  return latent;
}

void set_names(TensorNames& names, const LatentSpec& latent) {
  const std::string attention = "model.layers.%d.self_attn.", shared = "model.layers.%d.mlp.shared_experts.";
  if (latent.q_rank > 0) names.q = attention + "q_b_proj.weight";
  names.q_narrow = attention + "q_a_proj.weight";
  names.q_narrow_norm = attention + "q_a_layernorm.weight";
  names.kv_narrow = attention + "kv_a_proj_with_mqa.weight";
  names.kv_narrow_norm = attention + "kv_a_layernorm.weight";
  names.kv_up = attention + "kv_b_proj.weight";
  expert_names(names, "mlp");
  names.shared_gate = shared + "gate_proj.weight";
  names.shared_up = shared + "up_proj.weight";
  names.shared_down = shared + "down_proj.weight";
}

// Yarn's weight for all dimensions multiplies scores, squared.
float score_factor(const ConfigView& file, const RopeScaling& scaling) {
  const float weight = file.not_negative_or(rope_object(file) + ".mscale_all_dim", 0);
  if (scaling.kind != RopeScaling::Kind::yarn || weight == 0) return 1;
  const double m = yarn_magnitude(scaling.factor, weight);
  return static_cast<float>(m * m);
}

ModelSpec hugging_face(const ConfigView& file, const char* family, const HuggingFaceDefaults& defaults) {
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  require_activation(file, "hidden_act", "silu");
  ModelSpec spec = hugging_face_decoder(file, family, defaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  const LatentSpec latent = latent_of(file);
  const std::string dict = rope_object(file);
  const RopeScaling scaling = hugging_face_rope_scaling(file, dict, spec.context_tokens);
  set_latent(spec, latent, score_factor(file, scaling));
  const float base = rope_base_or(file, file.has(dict + ".rope_theta") ? dict + ".rope_theta" : "rope_theta", 10'000);
  set_names(spec.names, latent);
  const bool adjacent = file.flag("rope_interleave", true);
  return with_rope(std::move(spec), make_rope(adjacent ? Rope::Pairing::adjacent : Rope::Pairing::half, latent.rope_dim, base, scaling));
}

void set_feed_forward(const ConfigView& file, ModelSpec& spec, const ExpertsSpec& experts, int first_fallback, int shared_fallback) {
  const int first = file.file().integer(file.key("first_k_dense_replace"), first_fallback);
  const int shared = file.file().integer(file.key("n_shared_experts"), shared_fallback);
  for (size_t i = static_cast<size_t>(std::max(0, first)); i < spec.layers.size(); ++i) {
    spec.layers[i].feed_forward.experts = experts;
    spec.layers[i].feed_forward.width = shared * experts.width;
  }
}

void set_groups(const ConfigView& file, ExpertsSpec& experts, int groups, int used) {
  experts.groups = file.has("n_group") ? file.size("n_group") : groups;
  experts.groups_used = file.has("topk_group") ? file.size("topk_group") : used;
  if (experts.count % experts.groups != 0) file.refuse("n_group", "does not divide the number of experts");
  if (experts.groups_used > experts.groups) file.refuse("topk_group", "is more than the groups there are");
}

// Weights are never divided by their sum here, whatever the file says.
ModelSpec v2_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  ModelSpec spec = hugging_face(file, "deepseek_v2", kV2);
  ExpertsSpec experts = experts_of(file, "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", 1407);
  experts.scale = file.positive_or("routed_scaling_factor", 1);
  if (file.text_or("topk_method", "greedy") == "group_limited_greedy") set_groups(file, experts, 1, 1);
  set_feed_forward(file, spec, experts, 0, 2);
  return spec;
}

ModelSpec v3_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  ModelSpec spec = hugging_face(file, "deepseek_v3", kV3);
  ExpertsSpec experts = experts_of(file, "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", 2048);
  experts.scores = ExpertsSpec::Scores::sigmoid;
  experts.group_score = ExpertsSpec::GroupScore::two_best;
  experts.normalized = file.flag("norm_topk_prob", true);
  experts.scale = file.positive_or("routed_scaling_factor", 2.5f);
  set_groups(file, experts, 8, 4);
  spec.names.choice_bias = "model.layers.%d.mlp.gate.e_score_correction_bias";
  spec.names.ignored = {"model.layers." + std::to_string(spec.layers.size()) + "."};  // a layer that predicts further tokens
  set_feed_forward(file, spec, experts, 3, 1);
  return spec;
}

// ---- from config.json to GGUF

// Half of the heads' keys turn; the rest, and all values, are made from one narrow row.
void add_latent(GgufKeys& keys, const AttentionSpec& attention) {
  const LatentSpec& latent = attention.latent;
  keys.count("attention.head_count", attention.q_heads);
  keys.count("attention.head_count_kv", 1);
  keys.count("attention.key_length", latent.kv_rank + latent.rope_dim);
  keys.count("attention.value_length", latent.kv_rank);
  keys.count("attention.key_length_mla", latent.plain_dim + latent.rope_dim);
  keys.count("attention.value_length_mla", latent.value_dim);
  keys.count("attention.kv_lora_rank", latent.kv_rank);
  keys.count("attention.q_lora_rank", latent.q_rank);  // 0: none; llama.cpp wants the key
}

void add_experts(GgufKeys& keys, const ModelSpec& spec) {
  const FeedForwardSpec& last = spec.layers.back().feed_forward;
  const auto first =
      std::find_if(spec.layers.begin(), spec.layers.end(), [](const LayerSpec& layer) { return layer.feed_forward.experts.count > 0; });
  const ExpertsSpec& experts = last.experts;
  const bool sigmoid = experts.scores == ExpertsSpec::Scores::sigmoid;
  keys.count("leading_dense_block_count", static_cast<int>(first - spec.layers.begin()));
  if (experts.count == 0) return;
  keys.experts(experts);
  keys.count("expert_shared_count", last.width / experts.width);
  keys.number("expert_weights_scale", experts.scale);
  keys.flag("expert_weights_norm", experts.normalized);
  keys.count("expert_gating_func", sigmoid ? 2 : 1);
  if (experts.groups == 1) return;
  keys.count("expert_group_count", experts.groups);
  keys.count("expert_group_used_count", experts.groups_used);
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  const ConfigView file = hugging_face_view(metadata);
  const std::string dict = rope_object(file);
  GgufKeys keys("deepseek2", spec);
  add_latent(keys, spec.layers.front().attention);
  keys.widths(file.size_or("intermediate_size", kV3.width));
  add_experts(keys, spec);
  keys.rope(spec.ropes.front(), hugging_face_rope_scaling(file, dict, spec.context_tokens));
  const float weight = file.not_negative_or(dict + ".mscale_all_dim", 0);
  if (weight > 0) keys.number("rope.scaling.yarn_log_multiplier", 0.1f * weight);
  return keys.take();
}

}  // namespace

Family deepseek_v2_family() { return {"deepseek_v2", "deepseek2", {"deepseek_v2"}, from_gguf, v2_hugging_face, to_gguf}; }
Family deepseek_v3_family() { return {"deepseek_v3", "", {"deepseek_v3"}, nullptr, v3_hugging_face, to_gguf}; }

}  // namespace fovea::model
