// OLMo 2: norms after attention and feed-forward only, and on all heads of q and of k together.
#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"

namespace fovea::model {
namespace {

constexpr HuggingFaceDefaults kDefaults{.vocabulary = 50'304, .hidden = 4096, .width = 11'008, .layers = 32, .q_heads = 32,
                                        .context_tokens = 2048, .norm_eps = 1e-5f};

ModelSpec finish(ModelSpec spec, Rope rope) {
  for (LayerSpec& layer : spec.layers) {
    layer.attention.qk_norm = HeadNorm::whole_row;
    layer.pre_norms = false;
    layer.post_norms = true;
  }
  return with_rope(std::move(spec), std::move(rope));
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "olmo2");
  gguf_head_norms(spec.names);
  gguf_post_norms(spec.names);
  Rope rope = gguf_rope(file, Rope::Pairing::half, head_dim(spec));
  return finish(std::move(spec), std::move(rope));
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  require_activation(file, "hidden_act", "silu");
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  ModelSpec spec = hugging_face_decoder(file, "olmo2", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  head_norms(spec.names);
  sandwich_norms(spec.names);
  Rope rope = hugging_face_rope(file, Rope::Pairing::half, head_dim(spec), spec.context_tokens);
  return finish(std::move(spec), std::move(rope));
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  return plain_keys("olmo2", hugging_face_view(metadata), spec).take();
}

}  // namespace

Family olmo2_family() { return {"olmo2", "olmo2", {"olmo2"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
