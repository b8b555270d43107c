// Llama 2 and 3, and the many models that publish themselves as one: pre-norm layers, all of them global, one
// rope.
#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/rope_config.h"

namespace fovea::model {
namespace {

constexpr float kRopeBase = 10'000;
constexpr HuggingFaceDefaults kDefaults{.vocabulary = 32'000,
                                        .hidden = 4096,
                                        .width = 11'008,
                                        .layers = 32,
                                        .q_heads = 32,
                                        .context_tokens = 2048,
                                        .norm_eps = 1e-6f};

ModelSpec with_rope(ModelSpec spec, Rope rope) {
  spec.ropes = {std::move(rope)};
  for (LayerSpec& layer : spec.layers) layer.attention.rope = 0;
  return spec;
}

int head_dim(const ModelSpec& spec) { return spec.layers.front().attention.head_dim; }

// Converters permute the rows of q and k so that pairs are neighbours, and write llama3 scaling as divisors.
// A sliding window in such a file is not applied: files of this architecture are run without one everywhere.
ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  if (file.file().integer(file.key("expert_count"), 0) != 0) {
    file.refuse_as_not_computed("expert_count", "asks for a mixture of experts");
  }
  ModelSpec spec = gguf_decoder(file, "llama");
  Rope rope = make_rope(Rope::Pairing::adjacent, gguf_rope_dims(file, head_dim(spec)),
                        rope_base_or(file, "rope.freq_base", kRopeBase), gguf_rope_scaling(file));
  rope.divisors = "rope_freqs.weight";
  return with_rope(std::move(spec), std::move(rope));
}

// "rope_parameters" is the newer name of the object, which then holds the base as well.
Rope hugging_face_rope(const ConfigView& file, const ModelSpec& spec) {
  const std::string dict = file.has_below("rope_scaling") ? "rope_scaling" : "rope_parameters";
  if (file.has_below(dict + ".full_attention")) {
    file.refuse_as_not_computed(dict + ".full_attention", "asks for a rope per kind of layer");
  }
  const std::string base = file.has(dict + ".rope_theta") ? dict + ".rope_theta" : "rope_theta";
  return make_rope(Rope::Pairing::half, hugging_face_rope_dims(file, dict, head_dim(spec)),
                   rope_base_or(file, base, kRopeBase),
                   hugging_face_rope_scaling(file, dict, spec.context_tokens));
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  file.refuse_flag("mlp_bias", "asks for bias vectors in the feed-forward");
  require_activation(file, "hidden_act", "silu");
  ModelSpec spec = hugging_face_decoder(file, "llama", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  Rope rope = hugging_face_rope(file, spec);
  return with_rope(std::move(spec), std::move(rope));
}

}  // namespace

Family llama_family() { return {"llama", "llama", {"llama"}, from_gguf, from_hugging_face}; }

}  // namespace fovea::model
