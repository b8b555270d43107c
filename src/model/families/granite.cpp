// Granite: Llama's layers with factors on embeddings, scores, what layers add, and logits.
#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"

namespace fovea::model {
namespace {

constexpr HuggingFaceDefaults kDefaults{
    .vocabulary = 32'000, .hidden = 4096, .width = 11'008, .layers = 32, .q_heads = 32, .context_tokens = 2048, .norm_eps = 1e-6f};

ModelSpec finish(const ConfigView& file, ModelSpec spec, const char* embedding, const char* attention, const char* residual,
                 const char* logits, Rope rope) {
  spec.embedding_scale = file.positive_or(embedding, 1);
  spec.residual_scale = file.positive_or(residual, 1);
  spec.logit_scale = 1 / file.positive_or(logits, 1);
  if (file.has(attention)) {
    for (LayerSpec& layer : spec.layers) layer.attention.score_scale = file.positive(attention);
  }
  return with_rope(std::move(spec), std::move(rope));
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "granite");
  gguf_attention_biases_if_found(spec.names);
  Rope rope = gguf_rope(file, Rope::Pairing::adjacent, head_dim(spec));
  return finish(file, std::move(spec), "embedding_scale", "attention.scale", "residual_scale", "logit_scale", std::move(rope));
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  require_activation(file, "hidden_act", "silu");
  file.refuse_flag("mlp_bias", "asks for bias vectors in the feed-forward");
  ModelSpec spec = hugging_face_decoder(file, "granite", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  if (file.flag("attention_bias", false)) attention_biases(spec.names, true);
  for (LayerSpec& layer : spec.layers) layer.attention.score_scale = 1;  // the class default of its factor
  Rope rope = hugging_face_rope(file, Rope::Pairing::half, head_dim(spec), spec.context_tokens);
  return finish(file, std::move(spec), "embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling",
                std::move(rope));
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  GgufKeys keys = plain_keys("granite", hugging_face_view(metadata), spec);
  keys.number("embedding_scale", spec.embedding_scale);
  keys.number("attention.scale", spec.layers.front().attention.score_scale);
  keys.number("residual_scale", spec.residual_scale);
  keys.number("logit_scale", 1 / spec.logit_scale);
  return keys.take();
}

}  // namespace

Family granite_family() { return {"granite", "granite", {"granite"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
