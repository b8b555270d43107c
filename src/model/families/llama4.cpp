// Llama 4 (text): layers with rope see their chunk only, every fourth layer has no rope and sees everything; experts whose weight
// multiplies their input, beside a dense one.
#include <algorithm>

#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr int kChunk = 8192, kTemperatureTokens = 8192, kDenseWidth = 16'384;
constexpr float kTemperature = 0.1f;
constexpr HuggingFaceDefaults kDefaults{.vocabulary = 202'048,
                                        .hidden = 5120,
                                        .width = 8192,
                                        .layers = 48,
                                        .q_heads = 40,
                                        .kv_heads = 8,
                                        .head_dim = 128,
                                        .context_tokens = 131'072,
                                        .norm_eps = 1e-5f};

// "no_rope_layers" lists 1 for a layer that HAS rope.
std::vector<bool> layers_with_rope(const ConfigView& file, size_t layers) {
  const std::vector<int> listed = file.file().integers(file.key("no_rope_layers"));
  if (listed.empty()) return local_by_period(layers, file.size_or("no_rope_layer_interval", 4));
  if (listed.size() != layers) file.refuse("no_rope_layers", "lists another number of layers than there are");
  std::vector<bool> with(layers);
  for (size_t i = 0; i < layers; ++i) with[i] = listed[i] != 0;
  return with;
}

void set_attention(const ConfigView& file, ModelSpec& spec) {
  const std::vector<bool> with_rope = layers_with_rope(file, spec.layers.size());
  const std::vector<bool> chunked = hugging_face_local_layers(file, with_rope, "chunked_attention");
  const bool norm = file.flag("use_qk_norm", true), warm = file.flag("attn_temperature_tuning", true);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    AttentionSpec& attention = spec.layers[i].attention;
    if (chunked[i]) attention.chunk = file.size_or("attention_chunk_size", kChunk);
    if (with_rope[i]) {
      if (norm) attention.qk_norm = HeadNorm::after_rope;
      continue;
    }
    attention.rope = -1;
    if (!warm) continue;
    attention.temperature = file.positive_or("attn_scale", kTemperature);
    attention.temperature_tokens = file.size_or("floor_scale", kTemperatureTokens);
  }
}

void set_feed_forward(const ConfigView& file, ModelSpec& spec) {
  const std::vector<int> listed = file.file().integers(file.key("moe_layers"));
  const auto every = static_cast<size_t>(file.size_or("interleave_moe_layer_step", 1));
  ExpertsSpec experts = experts_of(file, "num_local_experts", "num_experts_per_tok", "intermediate_size", kDefaults.width);
  experts.scores = ExpertsSpec::Scores::sigmoid;
  experts.weighs_input = true;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const bool in_list = std::find(listed.begin(), listed.end(), static_cast<int>(i)) != listed.end();
    const bool has = listed.empty() ? (i + 1) % every == 0 : in_list;
    if (has) spec.layers[i].feed_forward.experts = experts;
    else spec.layers[i].feed_forward.width = file.size_or("intermediate_size_mlp", kDenseWidth);
  }
}

void set_names(TensorNames& names) {
  const std::string block = "model.layers.%d.feed_forward.";
  names.gate = block + "gate_proj.weight";
  names.up = block + "up_proj.weight";
  names.down = block + "down_proj.weight";
  names.shared_gate = block + "shared_expert.gate_proj.weight";
  names.shared_up = block + "shared_expert.up_proj.weight";
  names.shared_down = block + "shared_expert.down_proj.weight";
  names.router = block + "router.weight";
  names.expert_gate_up = block + "experts.gate_up_proj";
  names.expert_down = block + "experts.down_proj";
  names.experts_by_input = true;
}

// ---- GGUF: chunks and the warming of queries are those of the published models, as in llama.cpp

ModelSpec from_gguf(const files::Metadata& metadata) {
  constexpr int kPattern = 4;
  constexpr int kLayersOfTheOneWithoutNorm = 128;  // experts
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "llama4");
  Rope rope = gguf_rope(file, Rope::Pairing::adjacent, head_dim(spec), 500'000);
  rope.divisors = "rope_freqs.weight";
  spec = with_rope(std::move(spec), std::move(rope));
  ExpertsSpec experts = gguf_experts(file, spec);
  experts.scores = ExpertsSpec::Scores::sigmoid;
  experts.weighs_input = true;
  const auto every = static_cast<size_t>(file.size("interleave_moe_layer_step"));
  const bool chunked = !file.has("attention.sliding_window") || file.file().integer(file.key("attention.sliding_window")) != 0;
  const std::vector<bool> local = local_by_period(spec.layers.size(), kPattern);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    AttentionSpec& attention = spec.layers[i].attention;
    if (local[i]) {
      if (chunked) attention.chunk = kChunk;
      if (experts.count != kLayersOfTheOneWithoutNorm) attention.qk_norm = HeadNorm::after_rope;
    } else {
      attention.rope = -1;
      attention.temperature = kTemperature;
      attention.temperature_tokens = kTemperatureTokens;
    }
    if ((i + 1) % every == 0) spec.layers[i].feed_forward = {.width = experts.width, .experts = experts};
  }
  gguf_expert_names(spec.names);
  spec.names.shared_gate = "blk.%d.ffn_gate_shexp.weight";
  spec.names.shared_up = "blk.%d.ffn_up_shexp.weight";
  spec.names.shared_down = "blk.%d.ffn_down_shexp.weight";
  return spec;
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  const ConfigView file = hugging_face_view(metadata);
  GgufKeys keys("llama4", spec);
  keys.heads();
  std::vector<int> widths(spec.layers.size(), file.size_or("intermediate_size_mlp", kDenseWidth));
  keys.per_layer("feed_forward_length", widths);
  for (const LayerSpec& layer : spec.layers) {
    if (layer.feed_forward.experts.count == 0) continue;
    keys.experts(layer.feed_forward.experts);
    break;
  }
  keys.count("interleave_moe_layer_step", file.size_or("interleave_moe_layer_step", 1));
  const Rope& rope = spec.ropes.front();
  keys.rope(rope, hugging_face_rope_scaling(file, rope_object(file), spec.context_tokens, rope.dims / 2));
  return keys.take();
}

// ---- config.json

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  require_activation(file, "hidden_act", "silu");
  ModelSpec spec = hugging_face_decoder(file, "llama4", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  Rope rope = hugging_face_rope(file, Rope::Pairing::adjacent, head_dim(spec), spec.context_tokens, 500'000);
  spec = with_rope(std::move(spec), std::move(rope));
  set_attention(file, spec);
  set_feed_forward(file, spec);
  set_names(spec.names);
  return spec;
}

}  // namespace

Family llama4_family() { return {"llama4", "llama4", {"llama4_text", "llama4"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
