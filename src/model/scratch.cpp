#include <algorithm>

#include "kernels/key_turning.h"
#include "model/forward.h"
#include "model/rope.h"

namespace fovea::model {
namespace {

struct Widths {
  int q = 0, kv = 0, mix = 0, stored_q = 0, stored_k = 0, q_narrow = 0, kv_narrow = 0;
  int feed_forward = 0, head_dim = 0, experts = 0, expert_slots = 0, low_rank = 0;
  int projected = 0, convolved = 0, step = 0, step_in = 0;
  int one_stream = 0;  // of a head that is stored once for keys and values
  bool parallel = false;
};

void raise(int& width, int to) { width = std::max(width, to); }

void widen_for_attention(const ModelSpec& spec, int layer, Widths& w) {
  const AttentionSpec& a = spec.layers[static_cast<size_t>(layer)].attention;
  const LatentSpec& l = a.latent;
  const StoredHeads stored = stored_heads(spec, a.shares_with >= 0 ? a.shares_with : layer);
  raise(w.q, a.q_heads * (l.kv_rank > 0 ? std::max(l.plain_dim + l.rope_dim, l.value_dim) : a.head_dim));
  raise(w.kv, a.kv_heads * a.head_dim);
  raise(w.head_dim, std::max(stored.head_dim, a.head_dim));
  raise(w.mix, a.q_heads * (stored.values_in_key > 0 ? stored.values_in_key : a.head_dim));
  if (spec.layers[static_cast<size_t>(a.shares_with >= 0 ? a.shares_with : layer)].attention.value_is_key)
    raise(w.one_stream, stored.head_dim);
  if (stored.values_in_key > 0) {
    raise(w.stored_q, a.q_heads * stored.head_dim);
    raise(w.stored_k, stored.kv_heads * stored.head_dim);
  }
  raise(w.q_narrow, l.q_rank);
  if (l.kv_rank > 0) raise(w.kv_narrow, l.kv_rank + l.rope_dim);
}

void widen_for_state(const StateSpec& state, Widths& w) {
  raise(w.projected, state.rank > 0 ? 2 * state.inner : state.inner + state.conv_channels() + state.heads);
  raise(w.convolved, state.conv_channels());
  raise(w.step, std::max(state.inner, state.heads));
  if (state.rank > 0) raise(w.step_in, state.rank + 2 * state.state);
}

Widths widest(const ModelSpec& spec) {
  Widths w;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    if (layer.state.inner > 0) widen_for_state(layer.state, w);
    else widen_for_attention(spec, static_cast<int>(i), w);
    const ExpertsSpec& experts = layer.feed_forward.experts;
    raise(w.feed_forward, std::max({layer.feed_forward.width, experts.width, layer.low_rank, spec.layer_input.width}));
    raise(w.experts, experts.count);
    raise(w.expert_slots, experts.used);
    raise(w.low_rank, layer.low_rank);
    w.parallel |= layer.parallel;
  }
  return w;
}

// Whether keys are turned by a rope as they are read.
bool turns_on_reading(const ModelSpec& spec, size_t rope) {
  return std::ranges::any_of(spec.layers, [&](const LayerSpec& layer) {
    const AttentionSpec& a = layer.attention;
    return a.value_is_key && a.shares_with < 0 && a.rope == static_cast<int>(rope);
  });
}

void fill_key_angles(const Rope& rope, int context, float* tables) {
  const std::vector<double>& all = frequencies_for(rope, context);
  std::vector<double> turning;
  for (size_t k = 0; k < all.size(); ++k) {
    if (rope.frequencies[k] > 0) turning.push_back(all[k]);
  }
  kernels::KeyTurning::fill(turning, rope.magnitude, tables);
}

}  // namespace

size_t Scratch::lay_out(const ModelSpec& spec, int max_rows, float* base) {
  size_t floats = 0;
  const auto place = [&](int row_count, int width) {
    float* at = base ? base + floats : nullptr;
    floats += (static_cast<size_t>(row_count) * static_cast<size_t>(width) + 15) / 16 * 16;
    return at;
  };
  const auto rows = [&](int row_count, int width) { return kernels::Rows{place(row_count, width), row_count, width}; };
  const Widths w = widest(spec);
  const int hidden = spec.hidden, all_inputs = spec.layer_input.width * static_cast<int>(spec.layers.size());
  streams.resize(static_cast<size_t>(spec.streams.count));
  predictions.resize(streams.size());
  x = rows(max_rows, hidden);
  h = rows(max_rows, hidden);
  side = rows(max_rows, w.parallel || w.low_rank > 0 || w.experts > 0 || all_inputs > 0 ? hidden : 0);
  q = rows(max_rows, w.q);
  k = rows(max_rows, w.kv);
  v = rows(max_rows, w.kv);
  mix = rows(max_rows, std::max(w.mix, w.convolved));
  stored_q = rows(max_rows, w.stored_q);
  stored_k = rows(max_rows, w.stored_k);
  q_narrow = rows(max_rows, w.q_narrow);
  kv_narrow = rows(max_rows, w.kv_narrow);
  gate = rows(max_rows, w.feed_forward);
  up = rows(max_rows, w.feed_forward);
  router = rows(max_rows, w.experts);
  for (kernels::Rows* r : {&expert_x, &expert_in, &expert_out, &expert_sum}) *r = rows(max_rows, w.experts > 0 ? hidden : 0);
  projected = rows(max_rows, w.projected);
  convolved = rows(max_rows, w.convolved);
  step = rows(max_rows, w.step);
  step_in = rows(max_rows, w.step_in);
  layer_inputs = rows(max_rows, all_inputs);
  layer_lookups = rows(max_rows, all_inputs);
  for (kernels::Rows& r : streams) r = rows(max_rows, hidden);
  for (kernels::Rows& r : predictions) r = rows(max_rows, hidden);
  logits = rows(kLogitRows, spec.vocabulary);
  cosines.clear();
  sines.clear();
  for (const Rope& rope : spec.ropes) {
    cosines.push_back(place(max_rows, rope.dims / 2));
    sines.push_back(place(max_rows, rope.dims / 2));
  }
  key_weights = place(1, w.one_stream);
  key_angles.clear();
  for (size_t i = 0; i < spec.ropes.size(); ++i) {
    const size_t table = turns_on_reading(spec, i) ? kernels::KeyTurning::floats(turning_pairs(spec.ropes[i])) : 0;
    key_angles.push_back(place(1, static_cast<int>(table)));
  }
  return floats * sizeof(float);
}

size_t Scratch::bytes_for(const ModelSpec& spec, int max_rows) { return Scratch().lay_out(spec, max_rows, nullptr); }

Scratch::Scratch(const ModelSpec& spec, int max_rows, int context) : context_tokens(context), memory_(bytes_for(spec, max_rows)) {
  lay_out(spec, max_rows, reinterpret_cast<float*>(memory_.data()));
  const Widths w = widest(spec);
  const size_t slots = static_cast<size_t>(max_rows) * static_cast<size_t>(w.expert_slots);
  chosen.resize(slots);
  order.resize(slots);
  shares.resize(slots);
  begins.resize(static_cast<size_t>(w.experts) + 1);
  for (size_t i = 0; i < spec.layers.size(); ++i) stored_orders.push_back(stored_order(spec, static_cast<int>(i)));
  for (size_t i = 0; i < spec.ropes.size(); ++i) {
    if (turns_on_reading(spec, i)) fill_key_angles(spec.ropes[i], context, key_angles[i]);
  }
}

MatrixForms matrix_forms(const Weights& weights) {
  MatrixForms forms;
  const auto note = [&](const kernels::PackedMatrix& m) { (kernels::is_quantized(m.format()) ? forms.quantized : forms.plain) = true; };
  note(weights.output());
  for (const LayerWeights& layer : weights.layers) {
    for_each_matrix(layer, note);
  }
  for (const auto* many : {&weights.stream_in, &weights.stream_out}) std::for_each(many->begin(), many->end(), note);
  if (!weights.layer_input_projection.empty()) note(weights.layer_input_projection);
  return forms;
}

kernels::ComputeLimits compute_limits(const ModelSpec& spec, MatrixForms forms, int max_rows) {
  const Widths w = widest(spec);
  return {std::max(max_rows, Scratch::kLogitRows), std::max({spec.hidden, w.q, w.mix, w.feed_forward, w.q_narrow, w.projected}), w.head_dim,
          forms.quantized, forms.plain};
}

namespace {

void add_state_layer(int layer, int64_t bytes, std::vector<kv::GroupSpec>& groups) {
  auto group = std::find_if(groups.begin(), groups.end(), [&](const kv::GroupSpec& g) { return g.state_bytes == bytes; });
  if (group == groups.end()) group = groups.insert(groups.end(), {kWholePast, {}, {}, bytes});
  group->layers.push_back(layer);
}

}  // namespace

std::vector<kv::GroupSpec> kv_groups(const ModelSpec& spec, KvCodecs local, KvCodecs global, int newest_tokens) {
  std::vector<kv::GroupSpec> groups;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const AttentionSpec& a = spec.layers[i].attention;
    const StoredHeads stored = stored_heads(spec, static_cast<int>(i));
    if (const StateSpec& state = spec.layers[i].state; state.inner > 0) {
      add_state_layer(static_cast<int>(i), state.floats() * static_cast<int64_t>(sizeof(float)), groups);
      continue;
    }
    if (stored.kv_heads == 0) continue;
    const int window = a.chunk > 0 ? a.chunk : a.window;  // a chunk lies within the window of as many tokens
    const auto alike = [&](const kv::GroupSpec& g) {
      const kernels::KvLayout& l = g.layout;
      return g.state_bytes == 0 && g.window == window && StoredHeads{l.kv_heads, l.head_dim, l.values_in_key, l.turned} == stored;
    };
    auto group = std::find_if(groups.begin(), groups.end(), alike);
    if (group == groups.end()) {
      const KvCodecs codec = window == kWholePast ? global : local;
      group = groups.insert(groups.end(), {window, {}, stored.layout(codec), 0});
    }
    group->layers.push_back(static_cast<int>(i));
  }
  return kv::with_newest(std::move(groups), newest_tokens);
}

std::vector<kv::GroupSpec> kv_groups(const ModelSpec& spec, const EngineOptions& options) {
  return kv_groups(spec, options.kv_local, options.kv_global, options.kv_newest_tokens);
}

}  // namespace fovea::model
