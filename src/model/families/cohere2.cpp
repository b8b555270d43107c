// Cohere 2: three local layers with rope to one global layer without, attention and feed-forward side by side behind one layer norm.
#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr int kPattern = 4;
constexpr int kWindow = 4096;
constexpr HuggingFaceDefaults kDefaults{.vocabulary = 256'000,
                                        .hidden = 8192,
                                        .width = 22'528,
                                        .layers = 40,
                                        .q_heads = 64,
                                        .kv_heads = 64,
                                        .context_tokens = 8192,
                                        .norm_eps = 1e-5f};

ModelSpec finish(ModelSpec spec, const std::vector<bool>& local, int window, Rope rope) {
  spec.norm = NormKind::layer;
  set_windows(spec, local, window);
  spec = with_rope(std::move(spec), std::move(rope));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    spec.layers[i].parallel = true;
    if (!local[i]) spec.layers[i].attention.rope = -1;
  }
  spec.names.ffn_norm.clear();
  return spec;
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "cohere2");
  spec.logit_scale = file.positive("logit_scale");
  const int window = file.size("attention.sliding_window");
  Rope rope = gguf_rope(file, Rope::Pairing::adjacent, head_dim(spec));
  const std::vector<bool> local = gguf_local_layers(file, spec.layers.size(), window, kPattern);
  return finish(std::move(spec), local, window, std::move(rope));
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  require_activation(file, "hidden_act", "silu");
  ModelSpec spec = hugging_face_decoder(file, "cohere2", kDefaults);
  spec.norm_eps = file.positive_or("layer_norm_eps", kDefaults.norm_eps);
  spec.tied_head = hugging_face_tied_head(file, true);
  spec.logit_scale = file.positive_or("logit_scale", 0.0625f);
  const auto by_period = local_by_period(spec.layers.size(), hugging_face_period(file, kPattern));
  const std::vector<bool> local = hugging_face_local_layers(file, by_period);
  Rope rope = hugging_face_rope(file, Rope::Pairing::adjacent, head_dim(spec), spec.context_tokens);
  return finish(std::move(spec), local, hugging_face_window(file, kWindow), std::move(rope));
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  const ConfigView file = hugging_face_view(metadata);
  GgufKeys keys = plain_keys("cohere2", file, spec);
  keys.windows(kPattern);
  keys.number("logit_scale", spec.logit_scale);
  if (!file.has_below("rope_scaling")) keys.text("rope.scaling.type", "none");
  return keys.take();
}

}  // namespace

Family cohere2_family() { return {"cohere2", "cohere2", {"cohere2"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
