// OLMo 2 and 3: norms after attention and feed-forward only, and on all heads of q and of k together. OLMo 3 has windows, and
// stretches the rope of the other layers alone; as GGUF both go by "olmo2".
#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr HuggingFaceDefaults kDefaults{
    .vocabulary = 50'304, .hidden = 4096, .width = 11'008, .layers = 32, .q_heads = 32, .context_tokens = 2048, .norm_eps = 1e-5f};
constexpr int kPattern = 4, kWindow = 4096;
constexpr float kWindowedBase = 500'000;

ModelSpec finish(ModelSpec spec, Rope rope) {
  for (LayerSpec& layer : spec.layers) {
    layer.attention.qk_norm = HeadNorm::whole_row;
    layer.pre_norms = false;
    layer.post_norms = true;
  }
  return with_rope(std::move(spec), std::move(rope));
}

ModelSpec with_windows(ModelSpec spec, const std::vector<bool>& local, int window, float base) {
  set_windows(spec, local, window);
  spec.ropes.push_back(make_rope(Rope::Pairing::half, head_dim(spec), base));
  for (size_t i = 0; i < local.size(); ++i) spec.layers[i].attention.rope = local[i] ? 1 : 0;
  return spec;
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "olmo2");
  gguf_head_norms(spec.names);
  gguf_post_norms(spec.names);
  const Rope rope = gguf_rope(file, Rope::Pairing::half, head_dim(spec));
  const int window = gguf_window(file);
  spec = finish(std::move(spec), rope);
  if (window == kWholePast) return spec;
  const std::vector<bool> local = gguf_local_layers(file, spec.layers.size(), window, kPattern);
  return with_windows(std::move(spec), local, window, rope.base);  // one base for all layers, as in llama.cpp
}

ModelSpec without_rope(const ConfigView& file, const char* family) {
  require_activation(file, "hidden_act", "silu");
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  ModelSpec spec = hugging_face_decoder(file, family, kDefaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  head_norms(spec.names);
  sandwich_norms(spec.names);
  return spec;
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  ModelSpec spec = without_rope(file, "olmo2");
  Rope rope = hugging_face_rope(file, Rope::Pairing::half, head_dim(spec), spec.context_tokens);
  return finish(std::move(spec), std::move(rope));
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  return plain_keys("olmo2", hugging_face_view(metadata), spec).take();
}

// An object per kind of layer, or flat keys.
RopeScaling windowed_scaling(const ConfigView& file, const ModelSpec& spec) {
  const bool flat = file.has_below("rope_scaling");
  return hugging_face_rope_scaling(file, flat ? "rope_scaling" : "rope_parameters.full_attention", spec.context_tokens);
}

float windowed_base(const ConfigView& file, const std::string& kind) {
  const std::string name = "rope_parameters." + kind + ".rope_theta";
  return rope_base_or(file, file.has(name) ? name : "rope_theta", kWindowedBase);
}

ModelSpec windowed_from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  ModelSpec spec = without_rope(file, "olmo3");
  const RopeScaling scaling = windowed_scaling(file, spec);
  Rope rope = make_rope(Rope::Pairing::half, head_dim(spec), windowed_base(file, "full_attention"), scaling);
  spec = finish(std::move(spec), std::move(rope));
  const std::vector<bool> local = hugging_face_local_layers(file, local_by_period(spec.layers.size(), kPattern));
  return with_windows(std::move(spec), local, hugging_face_window(file, kWindow), windowed_base(file, "sliding_attention"));
}

GgufOutline windowed_to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  const ConfigView file = hugging_face_view(metadata);
  GgufKeys keys("olmo2", spec);
  keys.heads();
  keys.widths(0);
  keys.rope(spec.ropes.front(), windowed_scaling(file, spec));
  keys.windows(kPattern);
  return keys.take();
}

}  // namespace

Family olmo2_family() { return {"olmo2", "olmo2", {"olmo2"}, from_gguf, from_hugging_face, to_gguf}; }
Family olmo3_family() { return {"olmo3", "", {"olmo3"}, nullptr, windowed_from_hugging_face, windowed_to_gguf}; }

}  // namespace fovea::model
