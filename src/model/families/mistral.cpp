// Mistral, Ministral and Mixtral: Llama's layers with a window where the file has one, on every layer or on those it lists, dense
// or of experts. As GGUF all go by "llama".
#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr HuggingFaceDefaults kMistral{.vocabulary = 32'000,
                                       .hidden = 4096,
                                       .width = 14'336,
                                       .layers = 32,
                                       .q_heads = 32,
                                       .kv_heads = 8,
                                       .context_tokens = 131'072,
                                       .norm_eps = 1e-6f};
constexpr HuggingFaceDefaults kMixtral{.vocabulary = 32'000,
                                       .hidden = 4096,
                                       .width = 14'336,
                                       .layers = 32,
                                       .q_heads = 32,
                                       .kv_heads = 8,
                                       .context_tokens = 131'072,
                                       .norm_eps = 1e-5f};

ModelSpec hugging_face(const ConfigView& file, const char* family, const HuggingFaceDefaults& defaults, float base) {
  require_activation(file, "hidden_act", "silu");
  ModelSpec spec = hugging_face_decoder(file, family, defaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  const std::vector<bool> local = hugging_face_local_layers(file, std::vector<bool>(spec.layers.size(), true));
  set_windows(spec, local, hugging_face_window(file, kWholePast));
  Rope rope = hugging_face_rope(file, Rope::Pairing::half, head_dim(spec), spec.context_tokens, base);
  return with_rope(std::move(spec), std::move(rope));
}

ModelSpec mistral_hugging_face(const files::Metadata& metadata) {
  return hugging_face(hugging_face_view(metadata), "mistral", kMistral, 10'000);
}

ModelSpec mixtral_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  ModelSpec spec = hugging_face(file, "mixtral", kMixtral, 1'000'000);
  ExpertsSpec experts = experts_of(file, "num_local_experts", "num_experts_per_tok", "intermediate_size", kMixtral.width);
  experts.normalized = true;
  set_experts(spec, experts);
  expert_names(spec.names, "block_sparse_moe");
  spec.names.expert_gate = "model.layers.%d.block_sparse_moe.experts.%e.w1.weight";
  spec.names.expert_down = "model.layers.%d.block_sparse_moe.experts.%e.w2.weight";
  spec.names.expert_up = "model.layers.%d.block_sparse_moe.experts.%e.w3.weight";
  return spec;
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  return plain_keys("llama", hugging_face_view(metadata), spec).take();
}

}  // namespace

Family mistral_family() { return {"mistral", "", {"mistral", "ministral"}, nullptr, mistral_hugging_face, to_gguf}; }
Family mixtral_family() { return {"mixtral", "", {"mixtral"}, nullptr, mixtral_hugging_face, to_gguf}; }

}  // namespace fovea::model
