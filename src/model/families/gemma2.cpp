// Gemma 2: local and global layers by turns, soft caps on scores and logits, norms before and after each part.
#include <cmath>

#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr int kPattern = 2;
constexpr int kWindow = 4096;
constexpr float kScoreSoftcap = 50, kLogitSoftcap = 30;
constexpr HuggingFaceDefaults kDefaults{.vocabulary = 256'000,
                                        .hidden = 2304,
                                        .width = 9216,
                                        .layers = 26,
                                        .q_heads = 8,
                                        .kv_heads = 4,
                                        .head_dim = 256,
                                        .context_tokens = 8192,
                                        .norm_eps = 1e-6f};

ModelSpec finish(const ConfigView& file, ModelSpec spec, const char* score_key, const char* logit_key, float scale) {
  const float cap = file.not_negative_or(score_key, 0);
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.hidden));
  spec.final_softcap = file.not_negative_or(logit_key, 0);
  for (LayerSpec& layer : spec.layers) {
    layer.attention.score_scale = scale;
    layer.attention.score_softcap = cap;
    layer.feed_forward.activation = Activation::gelu_tanh;
    layer.post_norms = true;
  }
  return spec;
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  constexpr size_t kLayersOfTheOneThatDiffers = 46;  // its query scalar is hidden / heads
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "gemma2");
  const int window = file.size_or("attention.sliding_window", kWindow);
  set_windows(spec, gguf_local_layers(file, spec.layers.size(), window, kPattern), window);
  const AttentionSpec& first = spec.layers.front().attention;
  const int scalar = spec.layers.size() == kLayersOfTheOneThatDiffers ? spec.hidden / first.q_heads : first.head_dim;
  Rope rope = gguf_rope(file, Rope::Pairing::half, head_dim(spec));
  spec = finish(file, with_rope(std::move(spec), std::move(rope)), "attn_logit_softcapping", "final_logit_softcapping",
                1 / std::sqrt(static_cast<float>(scalar)));
  if (!file.has("attn_logit_softcapping")) {
    for (LayerSpec& layer : spec.layers) layer.attention.score_softcap = kScoreSoftcap;
  }
  if (!file.has("final_logit_softcapping")) spec.final_softcap = kLogitSoftcap;
  gguf_post_norms(spec.names);
  return spec;
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  file.refuse_flag("use_bidirectional_attention", "asks for attention to later tokens");
  require_activation(file, "hidden_activation", "gelu_pytorch_tanh");
  ModelSpec spec = hugging_face_decoder(file, "gemma2", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, true);
  spec.norm_weight_offset = 1;
  const std::vector<bool> local = hugging_face_local_layers(file, local_by_period(spec.layers.size(), kPattern));
  set_windows(spec, local, hugging_face_window(file, kWindow));
  Rope rope = hugging_face_rope(file, Rope::Pairing::half, head_dim(spec), spec.context_tokens);
  spec = finish(file, with_rope(std::move(spec), std::move(rope)), "attn_logit_softcapping", "final_logit_softcapping",
                1 / std::sqrt(file.positive_or("query_pre_attn_scalar", 256)));
  sandwich_norms(spec.names);
  return spec;
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  GgufKeys keys = plain_keys("gemma2", hugging_face_view(metadata), spec);
  keys.windows(kPattern);
  keys.number("attn_logit_softcapping", spec.layers.front().attention.score_softcap);
  keys.number("final_logit_softcapping", spec.final_softcap);
  return keys.take();
}

}  // namespace

Family gemma2_family() { return {"gemma2", "gemma2", {"gemma2"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
