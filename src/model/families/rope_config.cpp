#include "model/families/rope_config.h"

#include <cmath>
#include <limits>

#include "files/untrusted_text.h"

namespace fovea::model {
namespace {

[[noreturn]] void refuse_scaling(const ConfigView& file, std::string_view name, const std::string& type) {
  file.refuse_as_not_computed(name, "asks for the rope scaling " + files::in_quotes(type));
}

int even_dims(const ConfigView& file, std::string_view name, int dims, int head_dim) {
  if (dims > head_dim) {
    file.refuse(name, "is " + std::to_string(dims) + ", more than the " + std::to_string(head_dim) + " dimensions of a head");
  }
  if (dims % 2 != 0) file.refuse(name, "is " + std::to_string(dims) + ", but rope rotates pairs of dimensions");
  return dims;
}

RopeScaling wavelength_scaling(const ConfigView& file, const std::string& dict, int context_tokens) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::by_wavelength;
  scaling.factor = file.positive(dict + ".factor");
  scaling.low_freq_factor = file.positive(dict + ".low_freq_factor");
  scaling.high_freq_factor = file.positive(dict + ".high_freq_factor");
  scaling.original_context_tokens =
      file.size_or(dict + ".original_max_position_embeddings", context_tokens, std::numeric_limits<int>::max());
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    file.refuse(dict + ".high_freq_factor", "is not above low_freq_factor");
  }
  return scaling;
}

// cos and sin are multiplied by attention_factor; without it by a function of the factor and one or two weights.
double magnitude_of_yarn(const ConfigView& file, const std::string& dict, double factor) {
  if (file.has(dict + ".attention_factor")) return file.positive(dict + ".attention_factor");
  const float weight = file.not_negative_or(dict + ".mscale", 0), all = file.not_negative_or(dict + ".mscale_all_dim", 0);
  if (weight > 0 && all > 0) return yarn_magnitude(factor, weight) / yarn_magnitude(factor, all);
  return yarn_magnitude(factor, 1);
}

RopeScaling yarn_scaling(const ConfigView& file, const std::string& dict, int context_tokens) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::yarn;
  scaling.factor = file.positive(dict + ".factor");
  scaling.beta_fast = file.positive_or(dict + ".beta_fast", 32);
  scaling.beta_slow = file.positive_or(dict + ".beta_slow", 1);
  scaling.truncate = file.flag(dict + ".truncate", true);
  scaling.original_context_tokens =
      file.size_or(dict + ".original_max_position_embeddings", context_tokens, std::numeric_limits<int>::max());
  scaling.magnitude = magnitude_of_yarn(file, dict, scaling.factor);
  return scaling;
}

std::vector<double> divisor_list(const ConfigView& file, const std::string& name, int pairs) {
  const std::vector<float> listed = file.file().numbers(file.key(name));
  if (listed.size() != static_cast<size_t>(pairs)) {
    file.refuse(name, "lists " + std::to_string(listed.size()) + " numbers, expected one for each of " + std::to_string(pairs) +
                          " pairs of dimensions");
  }
  for (const float divisor : listed) {
    if (!(divisor > 0)) file.refuse(name, "holds a number that is not above 0");
  }
  return {listed.begin(), listed.end()};
}

// Reach beyond the original context also stretches cos and sin.
RopeScaling listed_scaling(const ConfigView& file, const std::string& dict, int pairs, int context_tokens) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::listed;
  scaling.divisors = divisor_list(file, dict + ".short_factor", pairs);
  scaling.far_divisors = divisor_list(file, dict + ".long_factor", pairs);
  const std::string own = dict + ".original_max_position_embeddings";
  scaling.original_context_tokens =
      file.size_or(file.has(own) ? own : "original_max_position_embeddings", context_tokens, std::numeric_limits<int>::max());
  scaling.factor = context_tokens / scaling.original_context_tokens;
  scaling.magnitude = file.has(dict + ".attention_factor") ? file.positive(dict + ".attention_factor")
                      : scaling.factor > 1 ? std::sqrt(1 + std::log(scaling.factor) / std::log(scaling.original_context_tokens))
                                           : 1;
  return scaling;
}

RopeScaling gguf_yarn(const ConfigView& file) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::yarn;
  scaling.factor = file.positive("rope.scaling.factor");
  scaling.original_context_tokens = file.size("rope.scaling.original_context_length", std::numeric_limits<int>::max());
  scaling.beta_fast = file.positive_or("rope.scaling.yarn_beta_fast", 32);
  scaling.beta_slow = file.positive_or("rope.scaling.yarn_beta_slow", 1);
  scaling.magnitude = yarn_magnitude(scaling.factor, 1) * file.positive_or("rope.scaling.attn_factor", 1);
  return scaling;
}

}  // namespace

RopeScaling gguf_rope_scaling(const ConfigView& file) {
  const std::string type = file.text_or("rope.scaling.type", "linear");
  if (type == "none") return {};
  if (type == "yarn") return gguf_yarn(file);
  if (type != "linear") refuse_scaling(file, "rope.scaling.type", type);
  if (file.not_negative_or("rope.scaling.attn_factor", 1) != 1) {
    file.refuse_as_not_computed("rope.scaling.attn_factor", "asks for rotations that also stretch");
  }
  const char* name = file.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  const float factor = file.not_negative_or(name, 0);
  if (factor == 0 || factor == 1) return {};  // 0 is written for "no scaling"
  return {.kind = RopeScaling::Kind::linear, .factor = factor};
}

RopeScaling hugging_face_rope_scaling(const ConfigView& file, const std::string& dict, int context_tokens, int pairs) {
  const std::string name = dict + (file.has(dict + ".rope_type") ? ".rope_type" : ".type");
  const std::string type = file.text_or(name, "default");
  if (type == "default") return {};
  if (type == "linear") return {.kind = RopeScaling::Kind::linear, .factor = file.positive(dict + ".factor")};
  if (type == "yarn") return yarn_scaling(file, dict, context_tokens);
  if ((type == "longrope" || type == "su") && pairs > 0) return listed_scaling(file, dict, pairs, context_tokens);
  if (type == "llama3") return wavelength_scaling(file, dict, context_tokens);
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

std::string rope_object(const ConfigView& file) { return file.has_below("rope_scaling") ? "rope_scaling" : "rope_parameters"; }

float partial_rotary_factor(const ConfigView& file, const std::string& dict) {
  const std::string inner = dict + ".partial_rotary_factor";
  const std::string name = file.has(inner) ? inner : "partial_rotary_factor";
  const float factor = file.positive_or(name, 1);
  if (factor > 1) file.refuse(name, "is more than the whole head");
  return factor;
}

Rope gguf_rope(const ConfigView& file, Rope::Pairing pairing, int head_dim, float base) {
  return make_rope(pairing, gguf_rope_dims(file, head_dim), rope_base_or(file, "rope.freq_base", base), gguf_rope_scaling(file));
}

Rope hugging_face_rope(const ConfigView& file, Rope::Pairing pairing, int head_dim, int context_tokens, float base) {
  const std::string dict = rope_object(file);
  if (file.has_below(dict + ".full_attention")) {
    file.refuse_as_not_computed(dict + ".full_attention", "asks for a rope per kind of layer");
  }
  const std::string base_name = file.has(dict + ".rope_theta") ? dict + ".rope_theta" : "rope_theta";
  return make_rope(pairing, hugging_face_rope_dims(file, dict, head_dim), rope_base_or(file, base_name, base),
                   hugging_face_rope_scaling(file, dict, context_tokens));
}

float rope_base_or(const ConfigView& file, std::string_view name, float fallback) {
  const float base = file.positive_or(name, fallback);
  if (base <= 1) file.refuse(name, "is " + std::to_string(base) + ", expected a number above 1");
  return base;
}

}  // namespace fovea::model
