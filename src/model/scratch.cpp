#include <algorithm>

#include "model/forward.h"

namespace fovea::model {
namespace {

struct Widths {
  int q = 0, kv = 0, feed_forward = 0, head_dim = 0;
};

Widths widest(const ModelSpec& spec) {
  Widths w;
  for (const LayerSpec& layer : spec.layers) {
    w.q = std::max(w.q, layer.attention.q_heads * layer.attention.head_dim);
    w.kv = std::max(w.kv, layer.attention.kv_heads * layer.attention.head_dim);
    w.feed_forward = std::max(w.feed_forward, layer.feed_forward.width);
    w.head_dim = std::max(w.head_dim, layer.attention.head_dim);
  }
  return w;
}

}  // namespace

Scratch::Scratch(const ModelSpec& spec, int max_rows) {
  const Widths w = widest(spec);
  size_t floats = 0;
  const auto place = [&](int rows, int width) {  // offset first; made a pointer once the memory is there
    const size_t at = floats;
    floats += (static_cast<size_t>(rows) * static_cast<size_t>(width) + 15) / 16 * 16;
    return at;
  };
  struct Part {
    kernels::Rows* rows;
    size_t at;
  };
  std::vector<Part> parts;
  const auto add = [&](kernels::Rows& r, int rows, int width) {
    r = {nullptr, rows, width};
    parts.push_back({&r, place(rows, width)});
  };
  add(x, max_rows, spec.hidden);
  add(h, max_rows, spec.hidden);
  add(q, max_rows, w.q);
  add(k, max_rows, w.kv);
  add(v, max_rows, w.kv);
  add(mix, max_rows, w.q);
  add(gate, max_rows, w.feed_forward);
  add(up, max_rows, w.feed_forward);
  add(picked, kLogitRows, spec.hidden);
  add(logits, kLogitRows, spec.vocabulary);
  std::vector<size_t> tables;
  for (const Rope& rope : spec.ropes) {
    tables.push_back(place(max_rows, rope.dims / 2));
    tables.push_back(place(max_rows, rope.dims / 2));
  }
  memory_ = LargeBytes(floats * sizeof(float));
  auto* base = reinterpret_cast<float*>(memory_.data());
  for (const Part& part : parts) part.rows->data = base + part.at;
  for (size_t i = 0; i < tables.size(); i += 2) {
    cosines.push_back(base + tables[i]);
    sines.push_back(base + tables[i + 1]);
  }
}

kernels::ComputeLimits compute_limits(const ModelSpec& spec, const Weights& weights, int max_rows) {
  const Widths w = widest(spec);
  kernels::ComputeLimits limits = {std::max(max_rows, Scratch::kLogitRows),
                                   std::max({spec.hidden, w.q, w.feed_forward}), w.head_dim, false, false};
  const auto note = [&](const kernels::PackedMatrix& m) {
    (kernels::is_quantized(m.format()) ? limits.quantized : limits.plain) = true;
  };
  note(weights.output());
  for (const LayerWeights& layer : weights.layers) {
    for (const auto* m : {&layer.q, &layer.k, &layer.v, &layer.attn_out, &layer.gate, &layer.up, &layer.down}) note(*m);
  }
  return limits;
}

std::vector<kv::GroupSpec> kv_groups(const ModelSpec& spec, KvCodec local, KvCodec global) {
  std::vector<kv::GroupSpec> groups;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const AttentionSpec& a = spec.layers[i].attention;
    const KvCodec codec = a.window == kWholePast ? global : local;
    const auto alike = [&](const kv::GroupSpec& g) {
      return g.window == a.window && g.layout.kv_heads == a.kv_heads && g.layout.head_dim == a.head_dim;
    };
    auto group = std::find_if(groups.begin(), groups.end(), alike);
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {a.window, {}, {codec, a.kv_heads, a.head_dim}});
    }
    group->layers.push_back(static_cast<int>(i));
  }
  return groups;
}

}  // namespace fovea::model
