// Phi-3: Llama's layers with q, k and v in one matrix and gate and up in another, a window on every layer where the file has it,
// and a rope with divisors of its own for each frequency.
#include <limits>

#include "model/families/decoder.h"
#include "model/families/families.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {
namespace {

constexpr HuggingFaceDefaults kDefaults{
    .vocabulary = 32'064, .hidden = 3072, .width = 8192, .layers = 32, .q_heads = 32, .context_tokens = 4096, .norm_eps = 1e-5f};

// Divisors for short and for long contexts are tensors, where there are any.
Rope gguf_rope_of(const ConfigView& file, int head_dim) {
  Rope rope = make_rope(Rope::Pairing::half, gguf_rope_dims(file, head_dim), rope_base_or(file, "rope.freq_base", 10'000));
  rope.magnitude = file.positive_or("rope.scaling.attn_factor", 1);
  rope.divisors = "rope_factors_short.weight";
  rope.far_divisors = "rope_factors_long.weight";
  rope.near_tokens = file.size_or("rope.scaling.original_context_length", 1, std::numeric_limits<int>::max());
  return rope;
}

ModelSpec from_gguf(const files::Metadata& metadata) {
  const ConfigView file = gguf_view(metadata);
  ModelSpec spec = gguf_decoder(file, "phi3");
  spec.names.qkv = "blk.%d.attn_qkv.weight";
  spec.names.gate_up = "blk.%d.ffn_up.weight";
  Rope rope = gguf_rope_of(file, head_dim(spec));
  return with_rope(std::move(spec), std::move(rope));
}

Rope rope_of(const ConfigView& file, const ModelSpec& spec) {
  const std::string dict = rope_object(file);
  const int dims = static_cast<int>(static_cast<float>(head_dim(spec)) * partial_rotary_factor(file, dict));
  if (dims < 2 || dims % 2 != 0) file.refuse("partial_rotary_factor", "leaves no whole pairs of dimensions to rotate");
  const float base = rope_base_or(file, file.has(dict + ".rope_theta") ? dict + ".rope_theta" : "rope_theta", 10'000);
  return make_rope(Rope::Pairing::half, dims, base, hugging_face_rope_scaling(file, dict, spec.context_tokens, dims / 2));
}

ModelSpec from_hugging_face(const files::Metadata& metadata) {
  const ConfigView file = hugging_face_view(metadata);
  file.refuse_flag("attention_bias", "asks for bias vectors in attention");
  require_activation(file, "hidden_act", "silu");
  ModelSpec spec = hugging_face_decoder(file, "phi3", kDefaults);
  spec.tied_head = hugging_face_tied_head(file, false);
  set_windows(spec, std::vector<bool>(spec.layers.size(), true), hugging_face_window(file, kWholePast));
  spec.names.qkv = "model.layers.%d.self_attn.qkv_proj.weight";
  spec.names.gate_up = "model.layers.%d.mlp.gate_up_proj.weight";
  Rope rope = rope_of(file, spec);
  return with_rope(std::move(spec), std::move(rope));
}

GgufOutline to_gguf(const files::Metadata& metadata, const ModelSpec& spec) {
  return plain_keys("phi3", hugging_face_view(metadata), spec).take();
}

}  // namespace

Family phi3_family() { return {"phi3", "phi3", {"phi3"}, from_gguf, from_hugging_face, to_gguf}; }

}  // namespace fovea::model
