#include "model/families/gguf_keys.h"

#include <algorithm>
#include <cmath>

#include "model/families/rope_config.h"
#include "model/families/windows.h"

namespace fovea::model {

GgufKeys::GgufKeys(std::string architecture, const ModelSpec& spec) : spec_(spec) {
  outline_.architecture = std::move(architecture);
  count("block_count", static_cast<int>(spec.layers.size()));
  count("context_length", spec.context_tokens);
  count("embedding_length", spec.hidden);
  count("vocab_size", spec.vocabulary);
  number(spec.norm == NormKind::layer ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", spec.norm_eps);
}

void GgufKeys::add(const std::string& name, files::GgufValue value) {
  outline_.keys.push_back({outline_.architecture + "." + name, std::move(value)});
}

void GgufKeys::count(const std::string& name, int value) { add(name, static_cast<uint32_t>(value)); }
void GgufKeys::number(const std::string& name, float value) { add(name, value); }
void GgufKeys::flag(const std::string& name, bool value) { add(name, value); }
void GgufKeys::text(const std::string& name, const std::string& value) { add(name, value); }

void GgufKeys::per_layer(const std::string& name, const std::vector<int>& values) {
  const bool same = std::all_of(values.begin(), values.end(), [&](int value) { return value == values.front(); });
  if (same) return count(name, values.front());
  add(name, std::vector<int32_t>(values.begin(), values.end()));
}

void GgufKeys::tensor(const std::string& name, std::vector<float> values) { outline_.tensors.push_back({name, std::move(values)}); }

void GgufKeys::heads() {
  const AttentionSpec& first = spec_.layers.front().attention;
  std::vector<int> kv_heads;
  for (const LayerSpec& layer : spec_.layers) kv_heads.push_back(layer.state.inner > 0 ? 0 : layer.attention.kv_heads);
  count("attention.head_count", first.q_heads);
  per_layer("attention.head_count_kv", kv_heads);
  count("attention.key_length", first.head_dim);
  count("attention.value_length", first.head_dim);
}

void GgufKeys::widths(int dense_width) {
  std::vector<int> widths;
  for (const LayerSpec& layer : spec_.layers) {
    const FeedForwardSpec& facts = layer.feed_forward;
    widths.push_back(facts.experts.count > 0 && !facts.experts.own_norms ? dense_width : facts.width);
  }
  per_layer("feed_forward_length", widths);
}

void GgufKeys::experts(const ExpertsSpec& experts) {
  count("expert_count", experts.count);
  count("expert_used_count", experts.used);
  count("expert_feed_forward_length", experts.width);
}

void GgufKeys::yarn(const RopeScaling& scaling) {
  text("rope.scaling.type", "yarn");
  number("rope.scaling.factor", static_cast<float>(scaling.factor));
  count("rope.scaling.original_context_length", static_cast<int>(scaling.original_context_tokens));
  number("rope.scaling.yarn_beta_fast", static_cast<float>(scaling.beta_fast));
  number("rope.scaling.yarn_beta_slow", static_cast<float>(scaling.beta_slow));
}

void GgufKeys::rope(const Rope& rope, const RopeScaling& scaling) {
  const auto as_floats = [](const std::vector<double>& values) { return std::vector<float>(values.begin(), values.end()); };
  number("rope.freq_base", rope.base);
  count("rope.dimension_count", rope.dims);
  if (scaling.kind == RopeScaling::Kind::linear) {
    text("rope.scaling.type", "linear");
    number("rope.scaling.factor", static_cast<float>(scaling.factor));
  }
  if (scaling.kind == RopeScaling::Kind::yarn) yarn(scaling);
  if (scaling.kind == RopeScaling::Kind::by_wavelength) {
    std::vector<float> divisors;
    for (size_t k = 0; k < rope.frequencies.size(); ++k) {
      const double plain = std::pow(static_cast<double>(rope.base), -2.0 * static_cast<double>(k) / rope.dims);
      divisors.push_back(static_cast<float>(plain / rope.frequencies[k]));
    }
    tensor("rope_freqs.weight", std::move(divisors));
  }
  if (scaling.kind == RopeScaling::Kind::listed) {
    count("rope.scaling.original_context_length", static_cast<int>(scaling.original_context_tokens));
    number("rope.scaling.attn_factor", static_cast<float>(scaling.magnitude));
    tensor("rope_factors_short.weight", as_floats(scaling.divisors));
    tensor("rope_factors_long.weight", as_floats(scaling.far_divisors));
  }
}

void GgufKeys::windows(int period) {
  std::vector<bool> local;
  int window = kWholePast;
  for (const LayerSpec& layer : spec_.layers) {
    local.push_back(layer.attention.window != kWholePast);
    if (local.back()) window = layer.attention.window;
  }
  if (window == kWholePast) return;
  count("attention.sliding_window", window);
  if (period == 0 || local != local_by_period(local.size(), period)) add("attention.sliding_window_pattern", local);
}

void GgufKeys::state(const StateSpec& state) {
  count("ssm.conv_kernel", state.conv);
  count("ssm.inner_size", state.inner);
  count("ssm.state_size", state.state);
  count("ssm.time_step_rank", state.rank > 0 ? state.rank : state.heads);
  if (state.rank == 0) count("ssm.group_count", state.groups);
}

GgufKeys plain_keys(const char* architecture, const ConfigView& config, const ModelSpec& spec) {
  GgufKeys keys(architecture, spec);
  keys.heads();
  const auto with_experts =
      std::find_if(spec.layers.begin(), spec.layers.end(), [](const LayerSpec& layer) { return layer.feed_forward.experts.count > 0; });
  const int fallback = with_experts == spec.layers.end() ? 0 : with_experts->feed_forward.experts.width;
  keys.widths(config.size_or("intermediate_size", std::max(1, fallback)));
  if (with_experts != spec.layers.end()) keys.experts(with_experts->feed_forward.experts);
  const Rope& rope = spec.ropes.front();
  keys.rope(rope, hugging_face_rope_scaling(config, rope_object(config), spec.context_tokens, rope.dims / 2));
  return keys;
}

}  // namespace fovea::model
