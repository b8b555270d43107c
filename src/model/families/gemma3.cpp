// Gemma 3 (text): most layers local with a rope of their own, every sixth global; norms before and after each
// part, norms on q and k, heads whose size is independent of the hidden size.
#include <cmath>

#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr int kPattern = 6;  // layer i is global iff (i + 1) % pattern == 0
constexpr int kWindow = 4096;
constexpr float kGlobalBase = 1'000'000;
constexpr float kLocalBase = 10'000;
constexpr float kGgufGlobalBase = 10'000;  // of a file that leaves the key out
constexpr float kQueryScalar = 256;
constexpr HuggingFaceDefaults kDefaults{.vocabulary = 262'208,
                                        .hidden = 2304,
                                        .width = 9216,
                                        .layers = 26,
                                        .q_heads = 8,
                                        .kv_heads = 4,
                                        .head_dim = 256,
                                        .context_tokens = 131'072,
                                        .norm_eps = 1e-6f};

// Places in ModelSpec::ropes.
constexpr int kGlobalRope = 0;
constexpr int kLocalRope = 1;

// What both containers share.
void finish(ModelSpec& spec, const std::vector<bool>& local, int window, float score_scale) {
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.hidden));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    LayerSpec& layer = spec.layers[i];
    layer.attention.window = local[i] ? window : kWholePast;
    layer.attention.rope = local[i] ? kLocalRope : kGlobalRope;
    layer.attention.score_scale = score_scale;
    layer.attention.qk_norm = HeadNorm::each_head;
    layer.feed_forward.activation = Activation::gelu_tanh;
    layer.post_norms = true;
  }
}

void refuse_score_softcap(const ConfigView& file) {
  if (file.not_negative_or("attn_logit_softcapping", 0) != 0) {
    file.refuse_as_not_computed("attn_logit_softcapping", "asks for soft capping of attention scores");
  }
}

// ---- GGUF

// The key of the query scalar does not survive conversion: the one size that differs is told by its depth.
float gguf_score_scale(const ModelSpec& spec) {
  constexpr size_t kLayersOfTheOneThatDiffers = 62;
  const AttentionSpec& attention = spec.layers.front().attention;
  const int scalar = spec.layers.size() == kLayersOfTheOneThatDiffers ? spec.hidden / attention.q_heads : attention.head_dim;
  return 1 / std::sqrt(static_cast<float>(scalar));
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  refuse_score_softcap(file);
  ModelSpec spec = gguf_decoder(file, "gemma3");
  const int window = gguf_window(file);
  const int dims = gguf_rope_dims(file, spec.layers.front().attention.head_dim);
  const float global_base = rope_base_or(file, "rope.freq_base", kGgufGlobalBase);
  const float local_base = rope_base_or(file, "rope.freq_base_swa", kLocalBase);
  spec.ropes = {make_rope(Rope::Pairing::half, dims, global_base, gguf_rope_scaling(file)),
                make_rope(Rope::Pairing::half, dims, local_base)};
  spec.final_softcap = file.not_negative_or("final_logit_softcapping", 0);
  finish(spec, gguf_local_layers(file, spec.layers.size(), window, kPattern), window, gguf_score_scale(spec));
  gguf_head_norms(spec.names);
  gguf_post_norms(spec.names);
  return spec;
}

// ---- config.json

// An object per kind of layer; before that existed, flat keys, of which "rope_scaling" is for global layers
// alone.
std::string scaling_object(const ConfigView& file, const std::string& kind) {
  return kind == "full_attention" && file.has_below("rope_scaling") ? "rope_scaling" : "rope_parameters." + kind;
}

RopeScaling scaling_of_kind(const ConfigView& file, const ModelSpec& spec, const std::string& kind) {
  return hugging_face_rope_scaling(file, scaling_object(file, kind), spec.context_tokens);
}

Rope rope_of_kind(const ConfigView& file, const ModelSpec& spec, const std::string& kind, const std::string& flat_base, float base) {
  const std::string parameters = "rope_parameters." + kind;
  const std::string base_name = file.has(parameters + ".rope_theta") ? parameters + ".rope_theta" : flat_base;
  const int dims = hugging_face_rope_dims(file, scaling_object(file, kind), spec.layers.front().attention.head_dim);
  return make_rope(Rope::Pairing::half, dims, rope_base_or(file, base_name, base), scaling_of_kind(file, spec, kind));
}

void refuse_what_is_not_computed(const ConfigView& file) {
  refuse_score_softcap(file);
  file.refuse_flag("use_bidirectional_attention", "asks for attention to later tokens");
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  require_activation(file, "hidden_activation", "gelu_pytorch_tanh");
  for (const char* name : {"rope_parameters.rope_theta", "rope_parameters.rope_type"}) {
    if (file.has(name)) file.refuse(name, "stands outside full_attention and sliding_attention");
  }
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  refuse_what_is_not_computed(file);
  ModelSpec spec = hugging_face_decoder(file, "gemma3", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, true);
  spec.norm_weight_offset = 1;
  spec.final_softcap = file.not_negative_or("final_logit_softcapping", 0);
  spec.ropes = {
      rope_of_kind(file, spec, "full_attention", "rope_theta", kGlobalBase),
      rope_of_kind(file, spec, "sliding_attention", "rope_local_base_freq", kLocalBase),
  };
  finish(spec, hugging_face_local_layers(file, local_by_period(spec.layers.size(), hugging_face_period(file, kPattern))),
         file.size_or("sliding_window", kWindow), 1 / std::sqrt(file.positive_or("query_pre_attn_scalar", kQueryScalar)));
  head_norms(spec.names);
  sandwich_norms(spec.names);
  return spec;
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  const ConfigView file = hugging_face_view(metadata);
  GgufKeys keys("gemma3", spec);
  keys.heads();
  keys.widths(0);
  keys.rope(spec.ropes[kGlobalRope], scaling_of_kind(file, spec, "full_attention"));
  keys.number("rope.freq_base_swa", spec.ropes[kLocalRope].base);
  keys.windows(kPattern);
  if (spec.final_softcap > 0) keys.number("final_logit_softcapping", spec.final_softcap);
  return keys.take();
}

}  // namespace

Family gemma3_family() { return {"gemma3", "gemma3", {"gemma3_text", "gemma3"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
