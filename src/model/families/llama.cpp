// Llama 2 and 3, and the many models that publish themselves as one: pre-norm layers, all of them global, one
// rope.
#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"

namespace fovea::model {
namespace {

constexpr float kRopeBase = 10'000;
constexpr HuggingFaceDefaults kDefaults{
    .vocabulary = 32'000, .hidden = 4096, .width = 11'008, .layers = 32, .q_heads = 32, .context_tokens = 2048, .norm_eps = 1e-6f};

// Converters permute the rows of q and k so that pairs are neighbours, and write llama3 scaling as divisors.
// A sliding window in such a file is not applied: files of this architecture are run without one everywhere.
ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "llama");
  if (file.file().integer(file.key("expert_count"), 0) != 0) {  // Mixtral's files go by this name too
    ExpertsSpec experts = gguf_experts(file, spec);
    if (!file.has("expert_feed_forward_length")) experts.width = spec.layers.front().feed_forward.width;
    experts.normalized = true;
    set_experts(spec, experts);
    gguf_expert_names(spec.names);
  }
  gguf_attention_biases_if_found(spec.names);
  Rope rope = gguf_rope(file, Rope::Pairing::adjacent, head_dim(spec), kRopeBase);
  rope.divisors = "rope_freqs.weight";
  return with_rope(std::move(spec), std::move(rope));
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  file.refuse_flag("mlp_bias", "asks for bias vectors in the feed-forward");
  require_activation(file, "hidden_act", "silu");
  ModelSpec spec = hugging_face_decoder(file, "llama", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  if (file.flag("attention_bias", false)) attention_biases(spec.names, true);
  Rope rope = hugging_face_rope(file, Rope::Pairing::half, head_dim(spec), spec.context_tokens, kRopeBase);
  return with_rope(std::move(spec), std::move(rope));
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  return plain_keys("llama", hugging_face_view(metadata), spec).take();
}

}  // namespace

Family llama_family() { return {"llama", "llama", {"llama"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
