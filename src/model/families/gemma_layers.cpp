#include "model/families/gemma_layers.h"

#include <cmath>

namespace fovea::model {

void gemma_scaling(ModelSpec& spec) {
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.hidden));
  for (LayerSpec& layer : spec.layers) {
    layer.feed_forward.activation = Activation::gelu_tanh;
    layer.post_norms = true;
  }
}

void share_last_layers(ModelSpec& spec, const std::vector<bool>& local, int shared) {
  const int layers = static_cast<int>(spec.layers.size()), first = layers - shared;
  for (int i = std::max(0, first); i < layers; ++i) {
    for (int owner = first - 1; owner >= 0; --owner) {
      if (local[static_cast<size_t>(owner)] != local[static_cast<size_t>(i)]) continue;
      spec.layers[static_cast<size_t>(i)].attention.shares_with = owner;
      break;
    }
  }
}

void layer_inputs(const ConfigView& file, ModelSpec& spec, int width_fallback) {
  if (file.file().integer(file.key("hidden_size_per_layer_input"), width_fallback) == 0) return;
  spec.layer_input.width = file.size_or("hidden_size_per_layer_input", width_fallback);
  spec.layer_input.vocabulary = file.size_or("vocab_size_per_layer_input", 262'144);
  TensorNames& names = spec.names;
  names.layer_input_table = "model.embed_tokens_per_layer.weight";
  names.layer_input_projection = "model.per_layer_model_projection.weight";
  names.layer_input_norm = "model.per_layer_projection_norm.weight";
  names.layer_input_gate = "model.layers.%d.per_layer_input_gate.weight";
  names.layer_input_up = "model.layers.%d.per_layer_projection.weight";
  names.layer_input_post_norm = "model.layers.%d.post_per_layer_input_norm.weight";
}

void gguf_layer_inputs(const ConfigView& file, ModelSpec& spec) {
  if (file.file().integer(file.key("embedding_length_per_layer_input"), 0) == 0) return;
  spec.layer_input = {file.size("embedding_length_per_layer_input"), spec.vocabulary};
  TensorNames& names = spec.names;
  names.layer_input_table = "per_layer_token_embd.weight";
  names.layer_input_projection = "per_layer_model_proj.weight";
  names.layer_input_norm = "per_layer_proj_norm.weight";
  names.layer_input_gate = "blk.%d.inp_gate.weight";
  names.layer_input_up = "blk.%d.proj.weight";
  names.layer_input_post_norm = "blk.%d.post_norm.weight";
}

}  // namespace fovea::model
