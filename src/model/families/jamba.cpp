// Jamba: state spaces with an attention layer (without rope) now and then; every other feed-forward is of experts.
#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/state_config.h"

namespace fovea::model {
namespace {

constexpr HuggingFaceDefaults kDefaults{.vocabulary = 65'536,
                                        .hidden = 4096,
                                        .width = 14'336,
                                        .layers = 32,
                                        .q_heads = 32,
                                        .kv_heads = 8,
                                        .context_tokens = 262'144,
                                        .norm_eps = 1e-6f};

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "jamba", true);  // a layer without K/V heads is a state space
  StateSpec state = gguf_state(file, false);
  state.inner_norms = true;
  gguf_state_names(spec.names, false);
  spec.names.step_norm = "blk.%d.ssm_dt_norm.weight";
  spec.names.b_norm = "blk.%d.ssm_b_norm.weight";
  spec.names.c_norm = "blk.%d.ssm_c_norm.weight";
  gguf_expert_names(spec.names);
  for (LayerSpec& layer : spec.layers) {
    if (layer.attention.kv_heads == 0) layer.state = state;
    layer.feed_forward.experts = gguf_experts(file, spec);
  }
  spec.names.experts_where_found = true;  // the file does not say which layers have them
  return spec;
}

void set_names(TensorNames& names) {
  const std::string layer = "model.layers.%d.", block = layer + "feed_forward.";
  state_names(names, layer + "mamba", false);
  names.step_norm = layer + "mamba.dt_layernorm.weight";
  names.b_norm = layer + "mamba.b_layernorm.weight";
  names.c_norm = layer + "mamba.c_layernorm.weight";
  names.ffn_norm = layer + "pre_ff_layernorm.weight";
  names.final_norm = "model.final_layernorm.weight";
  names.gate = block + "gate_proj.weight";
  names.up = block + "up_proj.weight";
  names.down = block + "down_proj.weight";
  expert_names(names, "feed_forward");
  names.router = block + "router.weight";
}

StateSpec state_of(const ConfigView& file, int hidden) {
  StateSpec state;
  state.inner = file.size_or("mamba_expand", 2, 64) * hidden;
  state.conv = file.size_or("mamba_d_conv", 4);
  state.state = file.size_or("mamba_d_state", 16);
  const bool stated = file.has("mamba_dt_rank") && file.text_or_number("mamba_dt_rank") != "auto";
  state.rank = stated ? file.size("mamba_dt_rank") : (hidden + 15) / 16;
  state.inner_norms = true;
  check_state(file, state, "mamba_d_state");
  return state;
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  require_activation(file, "hidden_act", "silu");
  file.refuse_flag("mamba_proj_bias", "asks for bias vectors in projections");
  ModelSpec spec = hugging_face_decoder(file, "jamba", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  set_names(spec.names);
  if (!file.flag("mamba_conv_bias", true)) spec.names.conv_bias.clear();
  const StateSpec state = state_of(file, spec.hidden);
  const auto period = static_cast<size_t>(file.size_or("attn_layer_period", 8));
  const auto offset = static_cast<size_t>(file.file().integer(file.key("attn_layer_offset"), 4));
  const auto expert_period = static_cast<size_t>(file.size_or("expert_layer_period", 2));
  const auto expert_offset = static_cast<size_t>(file.file().integer(file.key("expert_layer_offset"), 1));
  const bool has_experts = file.file().integer(file.key("num_experts"), 16) > 1;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if (i % period != offset) spec.layers[i].state = state;
    if (!has_experts || i % expert_period != expert_offset) continue;
    set_experts(spec.layers[i], experts_of(file, "num_experts", "num_experts_per_tok", "intermediate_size", kDefaults.width));
  }
  return spec;
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  const ConfigView file = hugging_face_view(metadata);
  GgufKeys keys("jamba", spec);
  keys.heads();
  keys.widths(file.size_or("intermediate_size", kDefaults.width));
  for (const LayerSpec& layer : spec.layers) {
    if (layer.state.inner == 0) continue;
    keys.state(layer.state);
    break;
  }
  keys.count("expert_count", file.file().integer(file.key("num_experts"), 16));
  keys.count("expert_used_count", file.file().integer(file.key("num_experts_per_tok"), 2));
  return keys.take();
}

}  // namespace

Family jamba_family() { return {"jamba", "jamba", {"jamba"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
