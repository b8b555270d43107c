#include "model/families/decoder.h"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>

#include "files/untrusted_text.h"

namespace fovea::model {
namespace {

constexpr int kLargestHead = 1 << 16;  // dimensions of a head

struct HeadKeys {
  const char *q_heads, *kv_heads, *head_dim;
};
constexpr HeadKeys kGgufHeads{"attention.head_count", "attention.head_count_kv", "attention.key_length"};
constexpr HeadKeys kHuggingFaceHeads{"num_attention_heads", "num_key_value_heads", "head_dim"};

struct Sizes {
  int hidden = 0;
  int head_dim = 0;
  std::vector<int> q_heads, kv_heads, widths;  // per layer
  bool kv_heads_may_be_none = false;
};

int head_dim_from_hidden(const ConfigView& file, const HeadKeys& keys, const Sizes& sizes) {
  const int heads = sizes.q_heads.front();
  if (sizes.hidden % heads != 0) {
    file.refuse(keys.q_heads, "is " + std::to_string(heads) + ", which does not divide the hidden size " + std::to_string(sizes.hidden) +
                                  ", and the file does not say " + files::in_quotes(file.key(keys.head_dim)));
  }
  return sizes.hidden / heads;
}

void check_heads(const ConfigView& file, const HeadKeys& keys, const Sizes& sizes) {
  for (size_t layer = 0; layer < sizes.q_heads.size(); ++layer) {
    const int q_heads = sizes.q_heads[layer], kv_heads = sizes.kv_heads[layer];
    if (kv_heads == 0 && sizes.kv_heads_may_be_none) continue;
    if (kv_heads < 1 || q_heads % kv_heads != 0) {
      file.refuse(keys.kv_heads, "is " + std::to_string(kv_heads) + " in layer " + std::to_string(layer) + ", expected a divisor of the " +
                                     std::to_string(q_heads) + " query heads");
    }
    if (int64_t{q_heads} * sizes.head_dim > kLargestSize) {
      file.refuse(keys.q_heads, "gives " + std::to_string(q_heads) + " heads of " + std::to_string(sizes.head_dim) +
                                    " dimensions, more than " + std::to_string(kLargestSize) + " in all");
    }
  }
}

std::vector<LayerSpec> layers_of(const Sizes& sizes) {
  std::vector<LayerSpec> layers(sizes.q_heads.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    layers[i].attention.q_heads = sizes.q_heads[i];
    layers[i].attention.kv_heads = sizes.kv_heads[i];
    layers[i].attention.head_dim = sizes.head_dim;
    layers[i].attention.score_scale = 1 / std::sqrt(static_cast<float>(sizes.head_dim));
    layers[i].feed_forward.width = sizes.widths[i];
  }
  return layers;
}

TensorNames gguf_names() {
  TensorNames names;
  names.embedding = "token_embd.weight";
  names.final_norm = "output_norm.weight";
  names.head = "output.weight";
  names.attn_norm = "blk.%d.attn_norm.weight";
  names.q = "blk.%d.attn_q.weight";
  names.k = "blk.%d.attn_k.weight";
  names.v = "blk.%d.attn_v.weight";
  names.attn_out = "blk.%d.attn_output.weight";
  names.ffn_norm = "blk.%d.ffn_norm.weight";
  names.gate = "blk.%d.ffn_gate.weight";
  names.up = "blk.%d.ffn_up.weight";
  names.down = "blk.%d.ffn_down.weight";
  return names;
}

TensorNames hugging_face_names() {
  TensorNames names;
  names.embedding = "model.embed_tokens.weight";
  names.final_norm = "model.norm.weight";
  names.head = "lm_head.weight";
  names.attn_norm = "model.layers.%d.input_layernorm.weight";
  names.q = "model.layers.%d.self_attn.q_proj.weight";
  names.k = "model.layers.%d.self_attn.k_proj.weight";
  names.v = "model.layers.%d.self_attn.v_proj.weight";
  names.attn_out = "model.layers.%d.self_attn.o_proj.weight";
  names.ffn_norm = "model.layers.%d.post_attention_layernorm.weight";
  names.gate = "model.layers.%d.mlp.gate_proj.weight";
  names.up = "model.layers.%d.mlp.up_proj.weight";
  names.down = "model.layers.%d.mlp.down_proj.weight";
  return names;
}

// The tokenizer's list decides: it is what token ids index. Files without a tokenizer may state the number.
int gguf_vocabulary(const ConfigView& file) {
  const size_t listed = file.file().texts("tokenizer.ggml.tokens").size();
  if (listed > static_cast<size_t>(kLargestSize)) {
    ConfigView(file.file(), "").refuse("tokenizer.ggml.tokens", "lists " + std::to_string(listed) + " tokens");
  }
  if (listed > 0) return static_cast<int>(listed);
  return file.has("vocab_size") ? file.size("vocab_size") : 0;
}

std::string gguf_name(const ConfigView& file) {
  std::string stated = file.file().text("general.name", "");
  return stated.empty() ? std::filesystem::path(file.file().source()).stem().string() : stated;
}

std::string hugging_face_name(const ConfigView& file) {
  std::string stated = file.file().text("_name_or_path", "");
  if (!stated.empty()) return stated;
  const std::filesystem::path source(file.file().source());
  return source.filename() == "config.json" ? source.parent_path().filename().string() : source.stem().string();
}

Sizes gguf_sizes(const ConfigView& file, int layers, bool value_size_is_own) {
  Sizes sizes;
  sizes.kv_heads_may_be_none = value_size_is_own;
  sizes.hidden = file.size("embedding_length");
  sizes.q_heads = file.size_per_layer(kGgufHeads.q_heads, layers);
  sizes.kv_heads = !file.has(kGgufHeads.kv_heads) ? sizes.q_heads
                   : value_size_is_own            ? file.file().integer_per_layer(file.key(kGgufHeads.kv_heads), layers)
                                                  : file.size_per_layer(kGgufHeads.kv_heads, layers);
  sizes.widths = file.size_per_layer("feed_forward_length", layers);
  sizes.head_dim =
      file.has(kGgufHeads.head_dim) ? file.size(kGgufHeads.head_dim, kLargestHead) : head_dim_from_hidden(file, kGgufHeads, sizes);
  if (value_size_is_own) {
    check_heads(file, kGgufHeads, sizes);
    return sizes;
  }
  const int value_dim = file.has("attention.value_length") ? file.size("attention.value_length", kLargestHead)
                                                           : head_dim_from_hidden(file, kGgufHeads, sizes);
  if (value_dim != sizes.head_dim) {
    file.refuse_as_not_computed("attention.value_length", "asks for values of " + std::to_string(value_dim) +
                                                              " dimensions beside keys of " + std::to_string(sizes.head_dim));
  }
  check_heads(file, kGgufHeads, sizes);
  return sizes;
}

Sizes hugging_face_sizes(const ConfigView& file, int layers, const HuggingFaceDefaults& defaults) {
  const auto count = static_cast<size_t>(layers);
  const int q_heads = file.size_or(kHuggingFaceHeads.q_heads, defaults.q_heads);
  const int kv_fallback = defaults.kv_heads == 0 ? q_heads : defaults.kv_heads;
  Sizes sizes;
  sizes.hidden = file.size_or("hidden_size", defaults.hidden);
  sizes.q_heads.assign(count, q_heads);
  sizes.kv_heads.assign(count, file.size_or(kHuggingFaceHeads.kv_heads, kv_fallback));
  sizes.widths.assign(count, file.size_or("intermediate_size", defaults.width));
  sizes.head_dim = file.has(kHuggingFaceHeads.head_dim) || defaults.head_dim != 0
                       ? file.size_or(kHuggingFaceHeads.head_dim, defaults.head_dim, kLargestHead)
                       : head_dim_from_hidden(file, kHuggingFaceHeads, sizes);
  check_heads(file, kHuggingFaceHeads, sizes);
  return sizes;
}

// Quantized folders hold packed integers under names of their own; pairs of MXFP4 are put together where files are read.
void refuse_quantized_folder(const ConfigView& file) {
  const ConfigView whole(file.file(), "");
  for (const ConfigView& view : {file, whole}) {
    if (view.has_below("quantization_config") && view.text_or("quantization_config.quant_method", "") != "mxfp4") {
      view.refuse_as_not_computed("quantization_config", "describes weights quantized for another engine");
    }
  }
}

}  // namespace

ModelSpec gguf_outline(const ConfigView& file, const char* family) {
  ModelSpec spec;
  spec.family = family;
  spec.name = gguf_name(file);
  spec.vocabulary = gguf_vocabulary(file);
  spec.hidden = file.size("embedding_length");
  spec.context_tokens = file.size("context_length", std::numeric_limits<int>::max());
  const bool layer_norm = file.has("attention.layer_norm_epsilon");
  spec.norm_eps = file.positive(layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon");
  spec.tied_head = true;  // converters leave the head out instead of saying so
  spec.names = gguf_names();
  return spec;
}

ModelSpec gguf_decoder(const ConfigView& file, const char* family, bool value_size_is_own) {
  if (!file.flag("attention.causal", true)) {
    file.refuse_as_not_computed("attention.causal", "asks for attention to later tokens");
  }
  ModelSpec spec = gguf_outline(file, family);
  spec.layers = layers_of(gguf_sizes(file, file.size("block_count", kMostLayers), value_size_is_own));
  return spec;
}

ModelSpec hugging_face_outline(const ConfigView& file, const char* family, const HuggingFaceDefaults& defaults) {
  refuse_quantized_folder(file);
  ModelSpec spec;
  spec.family = family;
  spec.name = hugging_face_name(file);
  spec.vocabulary = file.size_or("vocab_size", defaults.vocabulary);
  spec.hidden = file.size_or("hidden_size", defaults.hidden);
  spec.context_tokens = file.size_or("max_position_embeddings", defaults.context_tokens, std::numeric_limits<int>::max());
  spec.norm_eps = file.positive_or("rms_norm_eps", defaults.norm_eps);
  spec.names = hugging_face_names();
  return spec;
}

ModelSpec hugging_face_decoder(const ConfigView& file, const char* family, const HuggingFaceDefaults& defaults) {
  ModelSpec spec = hugging_face_outline(file, family, defaults);
  spec.layers = layers_of(hugging_face_sizes(file, file.size_or("num_hidden_layers", defaults.layers, kMostLayers), defaults));
  return spec;
}

ModelSpec with_rope(ModelSpec spec, Rope rope) {
  spec.ropes = {std::move(rope)};
  for (LayerSpec& layer : spec.layers) layer.attention.rope = 0;
  return spec;
}

void attention_biases(TensorNames& names, bool output) {
  names.q_bias = "model.layers.%d.self_attn.q_proj.bias";
  names.k_bias = "model.layers.%d.self_attn.k_proj.bias";
  names.v_bias = "model.layers.%d.self_attn.v_proj.bias";
  if (output) names.attn_out_bias = "model.layers.%d.self_attn.o_proj.bias";
}

void gguf_attention_biases(TensorNames& names, bool output) {
  names.q_bias = "blk.%d.attn_q.bias";
  names.k_bias = "blk.%d.attn_k.bias";
  names.v_bias = "blk.%d.attn_v.bias";
  if (output) names.attn_out_bias = "blk.%d.attn_output.bias";
}

void gguf_attention_biases_if_found(TensorNames& names) {
  gguf_attention_biases(names, true);
  names.biases_where_found = true;
}

void head_norms(TensorNames& names) {
  names.q_norm = "model.layers.%d.self_attn.q_norm.weight";
  names.k_norm = "model.layers.%d.self_attn.k_norm.weight";
}

void gguf_head_norms(TensorNames& names) {
  names.q_norm = "blk.%d.attn_q_norm.weight";
  names.k_norm = "blk.%d.attn_k_norm.weight";
}

void sandwich_norms(TensorNames& names) {
  names.attn_post_norm = "model.layers.%d.post_attention_layernorm.weight";
  names.ffn_norm = "model.layers.%d.pre_feedforward_layernorm.weight";
  names.ffn_post_norm = "model.layers.%d.post_feedforward_layernorm.weight";
}

void gguf_post_norms(TensorNames& names) {
  names.attn_post_norm = "blk.%d.post_attention_norm.weight";
  names.ffn_post_norm = "blk.%d.post_ffw_norm.weight";
}

void expert_names(TensorNames& names, const std::string& block) {
  const std::string layer = "model.layers.%d." + block;
  names.router = layer + ".gate.weight";
  names.expert_gate = layer + ".experts.%e.gate_proj.weight";
  names.expert_up = layer + ".experts.%e.up_proj.weight";
  names.expert_down = layer + ".experts.%e.down_proj.weight";
}

void gguf_expert_names(TensorNames& names) {
  names.router = "blk.%d.ffn_gate_inp.weight";
  names.expert_gate = "blk.%d.ffn_gate_exps.weight";
  names.expert_up = "blk.%d.ffn_up_exps.weight";
  names.expert_down = "blk.%d.ffn_down_exps.weight";
}

void set_experts(LayerSpec& layer, const ExpertsSpec& experts) {
  layer.feed_forward.experts = experts;
  layer.feed_forward.width = 0;
}

void set_experts(ModelSpec& spec, const ExpertsSpec& experts) {
  for (LayerSpec& layer : spec.layers) set_experts(layer, experts);
}

ExpertsSpec experts_of(const ConfigView& file, const char* count, const char* used, const char* width, int width_fallback) {
  constexpr int kMostExperts = 1 << 16;
  ExpertsSpec experts;
  experts.count = file.size(count, kMostExperts);
  experts.used = file.size(used, kMostExperts);
  experts.width = file.size_or(width, width_fallback);
  if (experts.used > experts.count) file.refuse(used, "is more than the experts there are");
  return experts;
}

ExpertsSpec gguf_experts(const ConfigView& file, const ModelSpec& spec) {
  return experts_of(file, "expert_count", "expert_used_count", "expert_feed_forward_length", spec.layers.front().feed_forward.width);
}

bool hugging_face_tied_head(const ConfigView& file, bool fallback) {
  const bool whole = file.file().flag("tie_word_embeddings", fallback);
  return file.flag("tie_word_embeddings", whole);
}

void require_activation(const ConfigView& file, std::string_view name, std::string_view expected) {
  const std::string stated = file.text_or(name, expected);
  if (stated == expected) return;
  file.refuse_as_not_computed(name, "asks for the activation " + files::in_quotes(stated) + " instead of " + std::string(expected));
}

}  // namespace fovea::model
