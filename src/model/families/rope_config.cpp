#include "model/families/rope_config.h"

#include <limits>

#include "files/untrusted_text.h"

namespace fovea::model {
namespace {

[[noreturn]] void refuse_scaling(const ConfigView& file, std::string_view name, const std::string& type) {
  file.refuse_as_not_computed(name, "asks for the rope scaling " + files::in_quotes(type));
}

int even_dims(const ConfigView& file, std::string_view name, int dims, int head_dim) {
  if (dims > head_dim) {
    file.refuse(name, "is " + std::to_string(dims) + ", more than the " + std::to_string(head_dim) +
                          " dimensions of a head");
  }
  if (dims % 2 != 0)
    file.refuse(name, "is " + std::to_string(dims) + ", but rope rotates pairs of dimensions");
  return dims;
}

RopeScaling llama3_scaling(const ConfigView& file, const std::string& dict, int context_tokens) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::llama3;
  scaling.factor = file.positive(dict + ".factor");
  scaling.low_freq_factor = file.positive(dict + ".low_freq_factor");
  scaling.high_freq_factor = file.positive(dict + ".high_freq_factor");
  scaling.original_context_tokens = file.size_or(dict + ".original_max_position_embeddings", context_tokens,
                                                 std::numeric_limits<int>::max());
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    file.refuse(dict + ".high_freq_factor", "is not above low_freq_factor");
  }
  return scaling;
}

}  // namespace

RopeScaling gguf_rope_scaling(const ConfigView& file) {
  const std::string type = file.text_or("rope.scaling.type", "linear");
  if (type == "none") return {};
  if (type != "linear") refuse_scaling(file, "rope.scaling.type", type);
  if (file.not_negative_or("rope.scaling.attn_factor", 1) != 1) {
    file.refuse_as_not_computed("rope.scaling.attn_factor", "asks for rotations that also stretch");
  }
  const char* name = file.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  const float factor = file.not_negative_or(name, 0);
  if (factor == 0 || factor == 1) return {};  // 0 is written for "no scaling"
  return {.kind = RopeScaling::Kind::linear, .factor = factor};
}

RopeScaling hugging_face_rope_scaling(const ConfigView& file, const std::string& dict, int context_tokens) {
  const std::string name = dict + (file.has(dict + ".rope_type") ? ".rope_type" : ".type");
  const std::string type = file.text_or(name, "default");
  if (type == "default") return {};
  if (type == "linear") return {.kind = RopeScaling::Kind::linear, .factor = file.positive(dict + ".factor")};
  if (type == "llama3") return llama3_scaling(file, dict, context_tokens);
  refuse_scaling(file, name, type);
}

int gguf_rope_dims(const ConfigView& file, int head_dim) {
  if (!file.has("rope.dimension_count")) return even_dims(file, "attention.key_length", head_dim, head_dim);
  return even_dims(file, "rope.dimension_count", file.size("rope.dimension_count"), head_dim);
}

int hugging_face_rope_dims(const ConfigView& file, const std::string& dict, int head_dim) {
  for (const std::string& name : {std::string("partial_rotary_factor"), dict + ".partial_rotary_factor"}) {
    if (file.positive_or(name, 1) != 1) {
      file.refuse_as_not_computed(name, "asks for heads that rotate in part");
    }
  }
  return even_dims(file, "head_dim", head_dim, head_dim);
}

float rope_base_or(const ConfigView& file, std::string_view name, float fallback) {
  const float base = file.positive_or(name, fallback);
  if (base <= 1) file.refuse(name, "is " + std::to_string(base) + ", expected a number above 1");
  return base;
}

}  // namespace fovea::model
