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

size_t Scratch::lay_out(const ModelSpec& spec, int max_rows, float* base) {
  size_t floats = 0;
  const auto place = [&](int row_count, int width) {
    float* at = base ? base + floats : nullptr;
    floats += (static_cast<size_t>(row_count) * static_cast<size_t>(width) + 15) / 16 * 16;
    return at;
  };
  const auto rows = [&](int row_count, int width) {
    return kernels::Rows{place(row_count, width), row_count, width};
  };
  const Widths w = widest(spec);
  x = rows(max_rows, spec.hidden);
  h = rows(max_rows, spec.hidden);
  q = rows(max_rows, w.q);
  k = rows(max_rows, w.kv);
  v = rows(max_rows, w.kv);
  mix = rows(max_rows, w.q);
  gate = rows(max_rows, w.feed_forward);
  up = rows(max_rows, w.feed_forward);
  picked = rows(kLogitRows, spec.hidden);
  logits = rows(kLogitRows, spec.vocabulary);
  cosines.clear();
  sines.clear();
  for (const Rope& rope : spec.ropes) {
    cosines.push_back(place(max_rows, rope.dims / 2));
    sines.push_back(place(max_rows, rope.dims / 2));
  }
  return floats * sizeof(float);
}

size_t Scratch::bytes_for(const ModelSpec& spec, int max_rows) { return Scratch().lay_out(spec, max_rows, nullptr); }

Scratch::Scratch(const ModelSpec& spec, int max_rows) : memory_(bytes_for(spec, max_rows)) {
  lay_out(spec, max_rows, reinterpret_cast<float*>(memory_.data()));
}

MatrixForms matrix_forms(const Weights& weights) {
  MatrixForms forms;
  const auto note = [&](const kernels::PackedMatrix& m) {
    (kernels::is_quantized(m.format()) ? forms.quantized : forms.plain) = true;
  };
  note(weights.output());
  for (const LayerWeights& layer : weights.layers) {
    for (const auto* m : {&layer.q, &layer.k, &layer.v, &layer.attn_out, &layer.gate, &layer.up, &layer.down}) note(*m);
  }
  return forms;
}

kernels::ComputeLimits compute_limits(const ModelSpec& spec, MatrixForms forms, int max_rows) {
  const Widths w = widest(spec);
  return {std::max(max_rows, Scratch::kLogitRows), std::max({spec.hidden, w.q, w.feed_forward}), w.head_dim,
          forms.quantized, forms.plain};
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
