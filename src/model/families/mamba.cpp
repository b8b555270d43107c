// Mamba and Mamba 2: state spaces only, no attention and no feed-forward.
#include <limits>

#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/state_config.h"

namespace fovea::model {
namespace {

constexpr int kAnyContext = 1 << 20;  // a state has no longest context

ModelSpec with_layers(ModelSpec spec, int layers, const StateSpec& state) {
  LayerSpec layer;
  layer.state = state;
  spec.layers.assign(static_cast<size_t>(layers), layer);
  return spec;
}

ModelSpec gguf(const files::Metadata& metadata, const char* family, bool scalar) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_outline(file, family);
  gguf_state_names(spec.names, scalar);
  return with_layers(std::move(spec), file.size("block_count", kMostLayers), gguf_state(file, scalar));
}

ModelSpec mamba_gguf(const files::Metadata& metadata) { return gguf(metadata, "mamba", false); }
ModelSpec mamba2_gguf(const files::Metadata& metadata) { return gguf(metadata, "mamba2", true); }

ModelSpec outline(const ConfigView& file, const char* family, int hidden, int vocabulary) {
  HuggingFaceDefaults defaults;
  defaults.vocabulary = vocabulary;
  defaults.hidden = hidden;
  defaults.context_tokens = kAnyContext;
  defaults.norm_eps = 1e-5f;
  ModelSpec spec = hugging_face_outline(file, family, defaults);
  spec.norm_eps = file.positive_or("layer_norm_epsilon", defaults.norm_eps);
  spec.names.embedding = "backbone.embeddings.weight";
  spec.names.final_norm = "backbone.norm_f.weight";
  spec.names.attn_norm = "backbone.layers.%d.norm.weight";
  return spec;
}

void refuse_projection_bias(const ConfigView& file) {
  file.refuse_flag("use_bias", "asks for bias vectors in projections");
  require_activation(file, "hidden_act", "silu");
}

ModelSpec mamba_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  refuse_projection_bias(file);
  ModelSpec spec = outline(file, "mamba", 768, 50'280);
  spec.tied_head = hugging_face_tied_head(file, true);
  StateSpec state;
  state.inner = file.size_or("expand", 2, 64) * spec.hidden;
  state.conv = file.size_or("conv_kernel", 4);
  state.state = file.size_or("state_size", 16);
  const bool stated = file.has("time_step_rank") && file.text_or_number("time_step_rank") != "auto";
  state.rank = stated ? file.size("time_step_rank") : (spec.hidden + 15) / 16;
  check_state(file, state, "state_size");
  state_names(spec.names, "backbone.layers.%d.mixer", false);
  if (!file.flag("use_conv_bias", true)) spec.names.conv_bias.clear();
  return with_layers(std::move(spec), file.size_or("num_hidden_layers", 32, kMostLayers), state);
}

// Published files write "time_step_limit": [0.0, Infinity], which JSON does not have; readers leave it out.
void set_limits(const ConfigView& file, StateSpec& state) {
  if (!file.has("time_step_limit")) return;
  const std::vector<float> limits = file.file().numbers(file.key("time_step_limit"));
  if (limits.size() != 2 || !(limits[0] <= limits[1])) file.refuse("time_step_limit", "is no pair of limits");
  state.least_step = limits[0];
  state.most_step = limits[1];
}

ModelSpec mamba2_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  refuse_projection_bias(file);
  ModelSpec spec = outline(file, "mamba2", 4096, 32'768);
  spec.tied_head = hugging_face_tied_head(file, false);
  StateSpec state;
  state.inner = file.size_or("expand", 2, 64) * spec.hidden;
  state.conv = file.size_or("conv_kernel", 4);
  state.state = file.size_or("state_size", 128);
  state.heads = file.size_or("num_heads", 128);
  state.groups = file.size_or("n_groups", 8);
  check_state(file, state, "num_heads");
  set_limits(file, state);
  state_names(spec.names, "backbone.layers.%d.mixer", true);
  if (!file.flag("use_conv_bias", true)) spec.names.conv_bias.clear();
  return with_layers(std::move(spec), file.size_or("num_hidden_layers", 64, kMostLayers), state);
}

GgufOutline to_gguf(const char* architecture, const ModelSpec& spec) {
  GgufKeys keys(architecture, spec);
  keys.count("attention.head_count", 0);
  keys.count("feed_forward_length", 0);
  keys.state(spec.layers.front().state);
  return keys.take();
}

GgufOutline mamba_to_gguf(const files::Metadata&, const ModelSpec& spec) { return to_gguf("mamba", spec); }
GgufOutline mamba2_to_gguf(const files::Metadata&, const ModelSpec& spec) { return to_gguf("mamba2", spec); }

}  // namespace

Family mamba_family() { return {"mamba", "mamba", {"mamba"}, mamba_gguf, mamba_hugging_face, mamba_to_gguf}; }
Family mamba2_family() { return {"mamba2", "mamba2", {"mamba2"}, mamba2_gguf, mamba2_hugging_face, mamba2_to_gguf}; }

}  // namespace fovea::model
