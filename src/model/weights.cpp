#include "model/weights.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fovea/error.h"
#include "model/key_balance.h"
#include "model/rope.h"
#include "model/tensor_lookup.h"
#include "model/tensor_reader.h"

namespace fovea::model {
namespace {

class Loader {
 public:
  Loader(ModelSpec& spec, const files::ModelFiles& files, ThreadPool& pool, const Progress& progress)
      : spec_(spec), names_(spec.names), read_(files, spec.family, weights_.memory, pool, progress) {}

  Weights load() {
    weights_.embedding = embedding();
    weights_.final_norm = norm(names_.final_norm, 0, spec_.hidden);
    if (spec_.layer_input.width > 0) layer_input_tables();
    if (spec_.streams.count > 0) stream_matrices();
    for (size_t i = 0; i < spec_.layers.size(); ++i) weights_.layers.push_back(layer(static_cast<int>(i)));
    if (read_.find(names_.head)) {
      weights_.head = read_.matrix(names_.head, 0, spec_.vocabulary, spec_.hidden);
    } else if (!spec_.tied_head) {
      read_.require(names_.head);
    }
    for (const Rope& rope : spec_.ropes) {  // applied by complete_spec
      read_.find(rope.divisors);
      read_.find(rope.far_divisors);
    }
    read_.refuse_leftovers(names_.ignored);
    balance_keys(spec_, weights_);
    return std::move(weights_);
  }

 private:
  kernels::PackedMatrix embedding() {
    const files::Tensor& tensor = read_.require(names_.embedding);
    if (spec_.vocabulary == 0 && tensor.shape.size() == 2 && tensor.shape[0] < (1 << 30)) {
      spec_.vocabulary = static_cast<int>(tensor.shape[0]);
    }
    return read_.matrix(names_.embedding, 0, spec_.vocabulary, spec_.hidden);
  }

  AlignedArray<float> norm(const std::string& pattern, int index, int size) {
    AlignedArray<float> weight = read_.vector(pattern, index, size);
    for (float& value : weight.span()) value += spec_.norm_weight_offset;
    return weight;
  }

  // Roles that a family leaves unnamed do not exist.
  AlignedArray<float> if_named(const std::string& pattern, int index, int64_t count) {
    return pattern.empty() ? AlignedArray<float>() : read_.numbers(pattern, index, count);
  }

  LayerWeights layer(int i) {
    const LayerSpec& facts = spec_.layers[static_cast<size_t>(i)];
    LayerWeights w;
    if (facts.pre_norms) w.attn_norm = norm(names_.attn_norm, i, spec_.hidden);
    if (facts.state.inner > 0) w.state = state(i, facts.state);
    else attention(i, facts.attention, w);
    const bool feeds = facts.feed_forward.width > 0 || facts.feed_forward.experts.count > 0;
    if (facts.pre_norms && feeds && !facts.parallel) w.ffn_norm = norm(names_.ffn_norm, i, spec_.hidden);
    feed_forward(i, facts.feed_forward, w);
    if (facts.feed_forward.experts.count > 0) w.experts = experts(i, facts.feed_forward.experts);
    if (facts.post_norms) {
      w.attn_post_norm = norm(names_.attn_post_norm, i, spec_.hidden);
      w.ffn_post_norm = norm(names_.ffn_post_norm, i, spec_.hidden);
    }
    if (facts.scaled_output) w.output_scale = read_.numbers(names_.output_scale, i, 1).span()[0];
    if (spec_.layer_input.width > 0) w.layer_input = layer_input(i);
    if (spec_.streams.count > 0) w.streams = streams(i);
    if (facts.low_rank > 0) {
      w.low_rank_in = read_.matrix(names_.low_rank_in, i, facts.low_rank, spec_.hidden);
      w.low_rank_out = read_.matrix(names_.low_rank_out, i, spec_.hidden, facts.low_rank);
      w.low_rank_norm = norm(names_.low_rank_norm, i, spec_.hidden);
    }
    return w;
  }

  // ---- attention

  void attention(int i, const AttentionSpec& a, LayerWeights& w) {
    const int q_width = a.q_heads * a.head_dim, kv_width = a.kv_heads * a.head_dim;
    if (a.latent.kv_rank > 0) return latent(i, a, w);
    const bool own = a.shares_with < 0;
    if (!own) {  // older files have these, and nothing reads them
      for (const std::string* unused : {&names_.k, &names_.v, &names_.k_norm}) read_.find(*unused, i);
    }
    if (!names_.qkv.empty()) {
      const int total = q_width + 2 * kv_width;
      w.q = read_.rows(names_.qkv, i, total, 0, q_width, spec_.hidden);
      w.k = read_.rows(names_.qkv, i, total, q_width, kv_width, spec_.hidden);
      w.v = read_.rows(names_.qkv, i, total, q_width + kv_width, kv_width, spec_.hidden);
    } else {
      w.q = read_.matrix(names_.q, i, q_width, spec_.hidden);
      if (own) w.k = read_.matrix(names_.k, i, kv_width, spec_.hidden);
      if (own && !a.value_is_key) w.v = read_.matrix(names_.v, i, kv_width, spec_.hidden);
    }
    if (a.qk_norm == HeadNorm::each_head || a.qk_norm == HeadNorm::whole_row) {
      const bool whole = a.qk_norm == HeadNorm::whole_row;
      w.q_norm = norm(names_.q_norm, i, whole ? q_width : a.head_dim);
      if (own) w.k_norm = norm(names_.k_norm, i, whole ? kv_width : a.head_dim);
    }
    w.q_bias = if_named(names_.q_bias, i, q_width);
    if (own) w.k_bias = if_named(names_.k_bias, i, kv_width);
    if (own) w.v_bias = if_named(names_.v_bias, i, kv_width);
    w.attn_out = read_.matrix(names_.attn_out, i, spec_.hidden, q_width);
    w.attn_out_bias = if_named(names_.attn_out_bias, i, spec_.hidden);
    if (a.sinks) w.sinks = read_.vector(names_.sinks, i, a.q_heads);
  }

  void latent(int i, const AttentionSpec& a, LayerWeights& w) {
    const LatentSpec& l = a.latent;
    const int q_width = a.q_heads * (l.plain_dim + l.rope_dim);
    if (l.q_rank > 0) {
      w.latent.q_narrow = read_.matrix(names_.q_narrow, i, l.q_rank, spec_.hidden);
      w.latent.q_narrow_norm = norm(names_.q_narrow_norm, i, l.q_rank);
    }
    w.q = read_.matrix(names_.q, i, q_width, l.q_rank > 0 ? l.q_rank : spec_.hidden);
    w.latent.kv_narrow = read_.matrix(names_.kv_narrow, i, l.kv_rank + l.rope_dim, spec_.hidden);
    w.latent.kv_narrow_norm = norm(names_.kv_narrow_norm, i, l.kv_rank);
    latent_heads(i, a, w.latent);
    w.attn_out = read_.matrix(names_.attn_out, i, spec_.hidden, a.q_heads * l.value_dim);
  }

  void latent_heads(int i, const AttentionSpec& a, LatentWeights& w) {
    const LatentSpec& l = a.latent;
    if (read_.find(names_.k_up, i)) {
      for (const MatrixPart& part : read_.stack(names_.k_up, i, a.q_heads, l.kv_rank, l.plain_dim, false)) {
        w.k_up.push_back(read_.pack(part));
      }
      for (const MatrixPart& part : read_.stack(names_.v_up, i, a.q_heads, l.value_dim, l.kv_rank, false)) {
        w.v_up.push_back(read_.pack(part));
      }
      return;
    }
    const files::Tensor& both = read_.require(names_.kv_up, i);
    const int per_head = l.plain_dim + l.value_dim;
    read_.check_shape(both, {a.q_heads * per_head, l.kv_rank});
    if (fovea::facts(both.format).block_values != 1) {
      throw Error("tensor " + both.name + " is quantized, but part of it is needed by columns", both.where,
                  "convert the file again: newer converters store that part by itself");
    }
    for (int h = 0; h < a.q_heads; ++h) {
      const MatrixPart all = whole(both);
      w.k_up.push_back(read_.pack(transposed(rows_of(all, h * per_head, l.plain_dim))));
      w.v_up.push_back(read_.pack(rows_of(all, h * per_head + l.plain_dim, l.value_dim)));
    }
    read_.forget(both);
  }

  // ---- feed-forward

  void feed_forward(int i, const FeedForwardSpec& facts, LayerWeights& w) {
    if (facts.width == 0) return;
    const bool shared = facts.experts.count > 0 && !names_.shared_gate.empty();
    if (!names_.gate_up.empty()) {
      w.gate = read_.rows(names_.gate_up, i, 2 * facts.width, 0, facts.width, spec_.hidden);
      w.up = read_.rows(names_.gate_up, i, 2 * facts.width, facts.width, facts.width, spec_.hidden);
    } else {
      w.gate = read_.matrix(shared ? names_.shared_gate : names_.gate, i, facts.width, spec_.hidden);
      w.up = read_.matrix(shared ? names_.shared_up : names_.up, i, facts.width, spec_.hidden);
    }
    w.down = read_.matrix(shared ? names_.shared_down : names_.down, i, spec_.hidden, facts.width);
  }

  ExpertWeights experts(int i, const ExpertsSpec& e) {
    const int hidden = spec_.hidden;
    ExpertWeights w;
    w.router = read_.matrix(names_.router, i, e.count, hidden);
    w.router_bias = if_named(names_.router_bias, i, e.count);
    w.choice_bias = if_named(names_.choice_bias, i, e.count);
    w.dense_weight = if_named(names_.dense_weight, i, hidden);
    if (e.own_norms) {
      w.router_scale = read_.vector(names_.router_scale, i, hidden);
      w.expert_scale = read_.vector(names_.expert_scale, i, e.count);
      w.norm = norm(names_.expert_norm, i, hidden);
      w.dense_post_norm = norm(names_.dense_post_norm, i, hidden);
      w.post_norm = norm(names_.expert_post_norm, i, hidden);
    }
    gates_and_ups(i, e, w);
    pack_all(names_.expert_down, i, read_.stack(names_.expert_down, i, e.count, hidden, e.width, names_.experts_by_input), w.down);
    w.down_bias = if_named(names_.expert_down_bias, i, int64_t{e.count} * hidden);
    return w;
  }

  void gates_and_ups(int i, const ExpertsSpec& e, ExpertWeights& w) {
    if (names_.expert_gate_up.empty()) {
      const bool by_input = names_.experts_by_input;
      pack_all(names_.expert_gate, i, read_.stack(names_.expert_gate, i, e.count, e.width, spec_.hidden, by_input), w.gate);
      pack_all(names_.expert_up, i, read_.stack(names_.expert_up, i, e.count, e.width, spec_.hidden, by_input), w.up);
      w.gate_bias = if_named(names_.expert_gate_bias, i, int64_t{e.count} * e.width);
      w.up_bias = if_named(names_.expert_up_bias, i, int64_t{e.count} * e.width);
      return;
    }
    const int step = names_.expert_rows_alternate ? 2 : 1, up_first = names_.expert_rows_alternate ? 1 : e.width;
    const auto both = read_.stack(names_.expert_gate_up, i, e.count, 2 * e.width, spec_.hidden, names_.experts_by_input);
    for (const MatrixPart& part : both) {
      w.gate.push_back(read_.pack(rows_of(part, 0, e.width, step)));
      w.up.push_back(read_.pack(rows_of(part, up_first, e.width, step)));
    }
    forget(names_.expert_gate_up, i, e.count);
    if (names_.expert_gate_up_bias.empty()) return;
    const AlignedArray<float> biases = read_.numbers(names_.expert_gate_up_bias, i, int64_t{e.count} * 2 * e.width);
    w.gate_bias = AlignedArray<float>(static_cast<size_t>(e.count) * static_cast<size_t>(e.width));
    w.up_bias = AlignedArray<float>(w.gate_bias.size());
    for (size_t at = 0; at < w.gate_bias.size(); ++at) {
      const size_t width = static_cast<size_t>(e.width), first = at / width * 2 * width, k = at % width * static_cast<size_t>(step);
      w.gate_bias.data()[at] = biases.span()[first + k];
      w.up_bias.data()[at] = biases.span()[first + k + static_cast<size_t>(up_first)];
    }
  }

  void pack_all(const std::string& pattern, int i, const std::vector<MatrixPart>& parts, std::vector<kernels::PackedMatrix>& packed) {
    for (const MatrixPart& part : parts) packed.push_back(read_.pack(part));
    if (names_.experts_by_input) forget(pattern, i, static_cast<int>(parts.size()));  // copies were packed
  }

  void forget(const std::string& pattern, int i, int count) {
    for (int e = 0; e < count; ++e) read_.forget(read_.require(pattern, i, e));
  }

  // ---- what few families have

  StateWeights state(int i, const StateSpec& s) {
    StateWeights w;
    const int channels = s.conv_channels();
    const int projected = s.rank > 0 ? 2 * s.inner : s.inner + channels + s.heads;
    w.in = read_.matrix(names_.state_in, i, projected, spec_.hidden);
    w.conv = read_.numbers(names_.conv, i, int64_t{channels} * s.conv);
    w.conv_bias = if_named(names_.conv_bias, i, channels);
    if (s.rank > 0) {
      w.projection = read_.matrix(names_.state_projection, i, s.rank + 2 * s.state, s.inner);
      w.step = read_.matrix(names_.step, i, s.inner, s.rank);
    } else {
      w.norm = read_.numbers(names_.state_norm, i, s.inner);
    }
    const int64_t steps = s.rank > 0 ? s.inner : s.heads;
    w.step_bias = read_.numbers(names_.step_bias, i, steps);
    w.decay = read_.numbers(names_.decay, i, s.rank > 0 ? steps * s.state : steps);
    if (names_.decay_is_log) {
      for (float& value : w.decay.span()) value = -std::exp(value);
    }
    w.skip = read_.numbers(names_.skip, i, steps);
    if (s.inner_norms) {
      w.step_norm = norm(names_.step_norm, i, s.rank);
      w.b_norm = norm(names_.b_norm, i, s.state);
      w.c_norm = norm(names_.c_norm, i, s.state);
    }
    w.out = read_.matrix(names_.state_out, i, spec_.hidden, s.inner);
    return w;
  }

  void layer_input_tables() {
    const int width = spec_.layer_input.width, all = width * static_cast<int>(spec_.layers.size());
    weights_.layer_input_table = read_.matrix(names_.layer_input_table, 0, spec_.layer_input.vocabulary, all);
    weights_.layer_input_projection = read_.matrix(names_.layer_input_projection, 0, all, spec_.hidden);
    weights_.layer_input_norm = norm(names_.layer_input_norm, 0, width);
  }

  LayerInputWeights layer_input(int i) {
    LayerInputWeights w;
    w.gate = read_.matrix(names_.layer_input_gate, i, spec_.layer_input.width, spec_.hidden);
    w.up = read_.matrix(names_.layer_input_up, i, spec_.hidden, spec_.layer_input.width);
    w.post_norm = norm(names_.layer_input_post_norm, i, spec_.hidden);
    return w;
  }

  void stream_matrices() {
    const int others = spec_.streams.count - 1;
    pack_all(names_.stream_in, 0, read_.stack(names_.stream_in, 0, others, spec_.hidden, spec_.hidden, false), weights_.stream_in);
    pack_all(names_.stream_out, 0, read_.stack(names_.stream_out, 0, others, spec_.hidden, spec_.hidden, false), weights_.stream_out);
  }

  StreamWeights streams(int i) {
    const int64_t n = spec_.streams.count;
    StreamWeights w;
    w.router_norm = norm(names_.stream_router_norm, i, spec_.hidden);
    w.scale = read_.vector(names_.stream_scale, i, spec_.hidden);
    w.router = read_.numbers(names_.stream_router, i, n * spec_.hidden);
    w.predict = read_.numbers(names_.stream_predict, i, n * n * n);
    w.correct = read_.numbers(names_.stream_correct, i, n * n);
    return w;
  }

  ModelSpec& spec_;
  const TensorNames& names_;
  Weights weights_;
  TensorReader read_;
};

}  // namespace

int64_t Weights::bytes() const {
  auto total = static_cast<int64_t>(embedding.bytes() + head.bytes() + 4 * final_norm.size() + layer_input_table.bytes() +
                                    layer_input_projection.bytes());
  for (const auto* matrices : {&stream_in, &stream_out}) {
    for (const kernels::PackedMatrix& m : *matrices) total += static_cast<int64_t>(m.bytes());
  }
  for (const LayerWeights& w : layers) {
    for_each_matrix(w, [&](const auto& m) { total += static_cast<int64_t>(m.bytes()); });
    for (const auto* vector : {&w.attn_norm, &w.attn_post_norm, &w.ffn_norm, &w.ffn_post_norm, &w.q_norm, &w.k_norm, &w.q_bias, &w.k_bias,
                               &w.v_bias, &w.attn_out_bias, &w.experts.gate_bias, &w.experts.up_bias, &w.experts.down_bias, &w.state.conv,
                               &w.state.decay, &w.streams.router}) {
      total += static_cast<int64_t>(4 * vector->size());
    }
  }
  return total;
}

namespace {

// Of the experts' matrices a token reads its share; of the others, all.
template <typename Size> int64_t of_layer(const LayerWeights& weights, const ExpertsSpec& facts, Size size) {
  int64_t total = 0, of_experts = 0;
  for_each_matrix(weights, [&](const auto& m) { total += size(m); });
  for (const auto* many : {&weights.experts.gate, &weights.experts.up, &weights.experts.down}) {
    for (const auto& m : *many) of_experts += size(m);
  }
  return facts.count > 0 ? total - of_experts + of_experts * facts.used / facts.count : total;
}

template <typename Size> int64_t of_layers(const ModelSpec& spec, const Weights& weights, size_t end, Size size) {
  int64_t total = 0;
  for (size_t i = 0; i < end; ++i) total += of_layer(weights.layers[i], spec.layers[i].feed_forward.experts, size);
  return total;
}

int64_t macs(const kernels::PackedMatrix& m) { return static_cast<int64_t>(m.inputs()) * m.outputs(); }

}  // namespace

int64_t Weights::bytes_per_token(const ModelSpec& spec) const {
  const auto size = [](const kernels::PackedMatrix& m) { return static_cast<int64_t>(m.bytes()); };
  return size(output()) + size(layer_input_projection) + of_layers(spec, *this, layers.size(), size);
}

int64_t Weights::macs_per_token(const ModelSpec& spec) const { return of_layers(spec, *this, layers.size(), macs); }

int64_t Weights::stored_macs_per_token(const ModelSpec& spec) const {
  const auto last = static_cast<size_t>(last_storing_layer(spec));
  if (spec.layers[last].state.inner > 0) return of_layers(spec, *this, last + 1, macs);
  const LayerWeights& w = layers[last];
  return of_layers(spec, *this, last, macs) + macs(w.k) + macs(w.v) + macs(w.latent.kv_narrow);
}

namespace {

void divide_if_found(Rope& rope, const std::string& name, const files::TensorTable& tensors) {
  const files::Tensor* tensor = name.empty() ? nullptr : find_tensor(tensors, name);
  if (tensor && fovea::facts(tensor->format).block_values == 1) apply_divisors(rope, floats_of(*tensor), tensor->where);
  else if (tensor) throw Error("tensor " + tensor->name + " is quantized", tensor->where, "convert the file again");
}

void complete_rope(Rope& rope, const files::TensorTable& tensors) {
  if (!rope.far_divisors.empty()) {
    Rope far = rope;
    divide_if_found(far, rope.far_divisors, tensors);
    if (far.frequencies == rope.frequencies) rope.near_tokens = 0;
    else rope.far_frequencies = far.frequencies;
  }
  divide_if_found(rope, rope.divisors, tensors);
}

}  // namespace

void complete_spec(ModelSpec& spec, const files::TensorTable& tensors) {
  for (Rope& rope : spec.ropes) complete_rope(rope, tensors);
  if (spec.names.biases_where_found) {
    for (std::string* name : {&spec.names.q_bias, &spec.names.k_bias, &spec.names.v_bias, &spec.names.attn_out_bias}) {
      if (!find_tensor(tensors, tensor_name(*name, 0))) name->clear();
    }
    spec.names.biases_where_found = false;
  }
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    LayerSpec& layer = spec.layers[i];
    const auto missing = [&](const std::string& pattern) { return !find_tensor(tensors, tensor_name(pattern, static_cast<int>(i))); };
    if (spec.names.values_where_found && layer.attention.shares_with < 0 && layer.attention.window == kWholePast) {
      layer.attention.value_is_key = missing(spec.names.v);
    }
    if (spec.names.experts_where_found && layer.feed_forward.experts.count > 0) {
      if (missing(spec.names.router)) layer.feed_forward.experts = {};
      else layer.feed_forward.width = 0;
    }
  }
}

Weights load_weights(ModelSpec& spec, const files::ModelFiles& files, ThreadPool& pool, const Progress& progress) {
  complete_spec(spec, files.tensors);
  return Loader(spec, files, pool, progress).load();
}

}  // namespace fovea::model
