// Attention of one layer by its facts: projections, norms and rotation of heads, storing, attending, projecting back.
#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include "model/step.h"

namespace fovea::model {
namespace {

using kernels::Product;

constexpr float kNarrowNormEps = 1e-6f;  // of the norms inside latent attention, whatever the model's own

kernels::HeadTransform rotation(const Step& step, const AttentionSpec& a, int heads, int head_dim) {
  kernels::HeadTransform transform = {heads, head_dim, nullptr, step.spec.norm_eps};
  if (a.rope < 0) return transform;
  const auto rope = static_cast<size_t>(a.rope);
  transform.cosines = step.s.cosines[rope];
  transform.sines = step.s.sines[rope];
  transform.pairs = step.spec.ropes[rope].dims / 2;
  transform.half_pairing = step.spec.ropes[rope].pairing == Rope::Pairing::half;
  return transform;
}

void unit_norm(const Step& step, int heads, int head_dim, Rows x) {
  kernels::HeadTransform transform = {heads, head_dim, nullptr, step.spec.norm_eps};
  transform.unit_norm = true;
  kernels::transform_heads(step.compute, transform, x);
}

// Queries or keys as projected -> normed and rotated.
void finish_heads(const Step& step, const AttentionSpec& a, int heads, const AlignedArray<float>& norm, Rows x) {
  kernels::HeadTransform transform = rotation(step, a, heads, a.head_dim);
  if (a.qk_norm == HeadNorm::whole_row) kernels::make_rows(step.compute, RowSource::rms_normed(x, norm.data(), step.spec.norm_eps), x);
  if (a.qk_norm == HeadNorm::each_head) transform.norm_weight = norm.data();
  kernels::transform_heads(step.compute, transform, x);
  if (a.qk_norm == HeadNorm::after_rope) unit_norm(step, heads, a.head_dim, x);
}

void warm_queries(const Step& step, const AttentionSpec& a, Rows q) {
  step.compute.for_rows(q.rows, 16, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const int position = step.batch.positions[static_cast<size_t>(i)];
      const auto level = static_cast<float>((position + 1) / a.temperature_tokens);
      step.compute.set().scale(1 + a.temperature * std::log1p(level), q.width, q.row(i));
    }
  });
}

// Which projections of a layer are made.
struct Parts {
  bool queries, keys;  // keys: and values
};

void finish_queries(const Step& step, const AttentionSpec& a, const LayerWeights& w, Rows q) {
  step.add_bias(w.q_bias, q);
  finish_heads(step, a, a.q_heads, w.q_norm, q);
  if (a.temperature > 0) warm_queries(step, a, q);
}

void finish_keys(const Step& step, const AttentionSpec& a, const LayerWeights& w, Rows k, Rows v) {
  step.add_bias(w.k_bias, k);
  step.add_bias(w.v_bias, v);
  if (a.value_is_key) return unit_norm(step, a.kv_heads, a.head_dim, k);
  if (a.value_norm) unit_norm(step, a.kv_heads, a.head_dim, v);
  finish_heads(step, a, a.kv_heads, w.k_norm, k);
}

void project_heads(const Step& step, const AttentionSpec& a, const LayerWeights& w, const RowSource& in, Parts parts, Rows q, Rows k,
                   Rows v) {
  std::array<Product, 3> all;
  size_t count = 0;
  if (parts.queries) all[count++] = {&w.q, q.data, q.width};
  if (parts.keys) all[count++] = {&w.k, k.data, k.width};
  if (parts.keys && !w.v.empty()) all[count++] = {&w.v, v.data, v.width};
  kernels::multiply(step.compute, in, std::span(all).first(count));
  if (parts.queries) finish_queries(step, a, w, q);
  if (parts.keys) finish_keys(step, a, w, k, v);
}

// ---- values that are keys without norm weight and rope: what both are made of is stored, in the order of StoredOrder

Rows reordered(const Step& step, const std::vector<int>& order, Rows x, Rows out) {
  const int dims = static_cast<int>(order.size());
  step.compute.for_rows(x.rows, 4, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      for (int head = 0; head < x.width; head += dims) {
        for (int d = 0; d < dims; ++d) out.row(i)[head + d] = x.row(i)[head + order[static_cast<size_t>(d)]];
      }
    }
  });
  return out;
}

// A key is weight * u. In the dimensions that do not turn the query takes the weight; the others get it as they are turned.
Rows query_of_one_stream(const Step& step, const StoredOrder& stored, const float* weight, Rows q) {
  const int dims = static_cast<int>(stored.order.size());
  const Rows out = reordered(step, stored.order, q, step.rows(step.s.stored_q, q.width));
  for (int d = 0; d < dims; ++d) step.s.key_weights[d] = weight ? weight[stored.order[static_cast<size_t>(d)]] : 1.0f;
  step.compute.for_rows(out.rows, 4, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      for (int head = 0; head < out.width; head += dims) {
        for (int d = 2 * stored.pairs; d < dims; ++d) out.row(i)[head + d] *= step.s.key_weights[d];
      }
    }
  });
  return out;
}

// ---- latent

void copy_dims(const Step& step, Rows from, int heads, int from_dim, int from_at, Rows to, int to_dim, int to_at, int count) {
  step.compute.for_rows(from.rows, 16, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      for (int h = 0; h < heads; ++h) {
        std::memcpy(to.row(i) + h * to_dim + to_at, from.row(i) + h * from_dim + from_at, static_cast<size_t>(count) * sizeof(float));
      }
    }
  });
}

void finish_latent_keys(const Step& step, const AttentionSpec& a, const LayerWeights& w, Rows key) {
  const LatentSpec& l = a.latent;
  kernels::HeadTransform turn = rotation(step, a, 1, key.width);
  turn.first_rotated = l.kv_rank;
  kernels::transform_heads(step.compute, turn, key);
  step.compute.for_rows(key.rows, 16, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      step.compute.set().rms_norm(key.row(i), w.latent.kv_narrow_norm.data(), l.kv_rank, kNarrowNormEps, key.row(i));
    }
  });
}

void finish_latent_queries(const Step& step, const AttentionSpec& a, const LayerWeights& w, Rows q, Rows query) {
  const LatentSpec& l = a.latent;
  const int key_width = query.width / a.q_heads;
  kernels::HeadTransform turn = rotation(step, a, a.q_heads, l.plain_dim + l.rope_dim);
  turn.first_rotated = l.plain_dim;
  kernels::transform_heads(step.compute, turn, q);
  for (int h = 0; h < a.q_heads; ++h) {
    const Product up = {&w.latent.k_up[static_cast<size_t>(h)], query.data + h * key_width, query.width};
    kernels::multiply(step.compute, {q.data + h * (l.plain_dim + l.rope_dim), q.width, q.rows}, {&up, 1});
  }
  copy_dims(step, q, a.q_heads, l.plain_dim + l.rope_dim, l.plain_dim, query, key_width, l.kv_rank, l.rope_dim);
}

// Keys, which are values too, into `key`; queries in their form into `query`, by way of q.
void project_latent(const Step& step, const AttentionSpec& a, const LayerWeights& w, const RowSource& in, Parts parts, Rows q, Rows query,
                    Rows key) {
  const Rows narrow = step.rows(step.s.q_narrow, a.latent.q_rank);
  const bool in_two = narrow.width > 0;  // queries
  std::array<Product, 2> all;
  size_t count = 0;
  if (parts.queries) all[count++] = in_two ? Product{&w.latent.q_narrow, narrow.data, narrow.width} : Product{&w.q, q.data, q.width};
  if (parts.keys) all[count++] = {&w.latent.kv_narrow, key.data, key.width};
  kernels::multiply(step.compute, in, std::span(all).first(count));
  if (parts.keys) finish_latent_keys(step, a, w, key);
  if (!parts.queries) return;
  if (in_two) step.project(RowSource::rms_normed(narrow, w.latent.q_narrow_norm.data(), kNarrowNormEps), w.q, q);
  finish_latent_queries(step, a, w, q, query);
}

Rows values_from_latent(const Step& step, const AttentionSpec& a, const LayerWeights& w, Rows mix) {
  const Rows values = step.rows(step.s.q, a.q_heads * a.latent.value_dim);
  for (int h = 0; h < a.q_heads; ++h) {
    const Product up = {&w.latent.v_up[static_cast<size_t>(h)], values.data + h * a.latent.value_dim, values.width};
    kernels::multiply(step.compute, {mix.data + h * a.latent.kv_rank, mix.width, mix.rows}, {&up, 1});
  }
  return values;
}

// ---- the cache

// Pages of the layer, and where among them the rows of each sequence stand: behind what it has forgotten, they move up.
void find_pages(const Step& step, int layer) {
  for (size_t i = 0; i < step.batch.ids.size(); ++i) {
    step.s.pages[i] = step.cache.view(step.batch.ids[i], layer);
    step.s.places[i] = step.batch.sequences[i];
    step.s.places[i].first_position -= step.cache.forgotten(step.batch.ids[i], layer);
    step.s.attended[i] = step.cache.attended(step.batch.ids[i], layer);
  }
}

// The newest tokens of the layer, where it keeps them apart.
kernels::NewestKeys find_newest(const Step& step, int layer) {
  const int tokens = step.cache.newest_tokens(layer);
  if (tokens == 0) return {};
  for (size_t i = 0; i < step.batch.ids.size(); ++i) step.s.newest_pages[i] = step.cache.newest_view(step.batch.ids[i], layer);
  return {tokens, &step.cache.newest_layout(layer), step.s.newest_pages};
}

void store(const Step& step, const kernels::KvLayout& layout, std::span<const kernels::KvPages> pages, Rows k, Rows v) {
  for (size_t s = 0; s < step.s.places.size(); ++s) {
    const kernels::SequenceRows& sequence = step.s.places[s];
    step.compute.for_rows(sequence.rows, kernels::kPageTokens, [&](int begin, int end) {
      for (int i = begin; i < end; ++i) {
        const int position = sequence.first_position + i, row = sequence.first_row + i;
        if (position < pages[s].first_writable) continue;
        step.compute.set().store_kv(layout, pages[s].slice(position / kernels::kPageTokens), position % kernels::kPageTokens, k.row(row),
                                    v.row(row));
      }
    });
  }
}

struct Heads {
  Rows q, k, v;
};

// What `parts` says, in the form of the cache.
Heads project(const Step& step, int index, const RowSource& in, Parts parts) {
  const AttentionSpec& a = step.facts(index).attention;
  const LayerWeights& w = step.layer(index);
  const int owner = step.owner(index);
  if (a.latent.kv_rank > 0) {
    const kernels::KvLayout& layout = step.cache.layout(owner);
    const Rows q = step.rows(step.s.q, a.q_heads * (a.latent.plain_dim + a.latent.rope_dim));
    const Rows query = step.rows(step.s.stored_q, a.q_heads * layout.head_dim), key = step.rows(step.s.stored_k, layout.head_dim);
    project_latent(step, a, w, in, parts, q, query, key);
    return {query, key, key};
  }
  Heads heads = {step.rows(step.s.q, a.q_heads * a.head_dim), step.rows(step.s.k, a.kv_heads * a.head_dim), {}};
  heads.v = step.rows(step.s.v, heads.k.width);
  project_heads(step, a, w, in, parts, heads.q, heads.k, heads.v);
  if (!step.facts(owner).attention.value_is_key) return heads;
  const StoredOrder& stored = step.s.stored_orders[static_cast<size_t>(owner)];
  if (parts.queries) heads.q = query_of_one_stream(step, stored, weight_of(step.layer(owner).k_norm), heads.q);
  if (parts.keys) heads.k = heads.v = reordered(step, stored.order, heads.k, step.rows(step.s.stored_k, heads.k.width));
  return heads;
}

// REQUIRES the layer's pages found.
void store_heads(const Step& step, int index, const kernels::NewestKeys& newest, const Heads& heads) {
  if (!step.s.key_shifts.empty()) step.add_bias(step.s.key_shifts[static_cast<size_t>(index)], heads.k);
  store(step, step.cache.layout(index), step.s.pages, heads.k, heads.v);
  if (newest.tokens > 0) store(step, *newest.layout, newest.pages, heads.k, heads.v);
}

}  // namespace

void store_keys(const Step& step, int index, const RowSource& in) {
  const PartTimes::Scope time(step.s.times, Part::projections);
  const Heads heads = project(step, index, in, {.queries = false, .keys = true});
  find_pages(step, index);
  store_heads(step, index, find_newest(step, index), heads);
}

void attend(const Step& step, int index, const RowSource& in, Rows out) {
  const AttentionSpec& a = step.facts(index).attention;
  const LayerWeights& w = step.layer(index);
  const int owner = step.owner(index);
  const bool stores = owner == index && index != step.stored_layer;
  const kernels::KvLayout& layout = step.cache.layout(owner);
  const StoredOrder& stored = step.s.stored_orders[static_cast<size_t>(owner)];

  std::optional<PartTimes::Scope> time(std::in_place, step.s.times, Part::projections);
  const Heads heads = project(step, index, in, {.queries = true, .keys = stores});
  find_pages(step, owner);
  const kernels::NewestKeys newest = find_newest(step, owner);
  if (stores) store_heads(step, index, newest, heads);

  Rows mix = step.rows(step.s.mix, a.q_heads * layout.value_dim());
  const kernels::KeyTurning turning = {
      stored.pairs, step.s.key_weights,
      stored.pairs > 0 ? step.s.key_angles[static_cast<size_t>(step.facts(owner).attention.rope)] : nullptr};
  const kernels::AttentionShape shape = {
      a.q_heads, a.window, a.score_scale, a.chunk, a.score_softcap, weight_of(w.sinks), layout.turned > 0 ? &turning : nullptr};
  time.emplace(step.s.times, a.window > 0 || a.chunk > 0 ? Part::local_attention : Part::global_attention);
  kernels::attend(step.compute, shape, layout, step.s.places, step.s.pages, heads.q.data, mix.data, step.s.attended, newest);
  time.emplace(step.s.times, Part::projections);
  if (a.latent.kv_rank > 0) mix = values_from_latent(step, a, w, mix);
  if (step.facts(owner).attention.value_is_key) mix = reordered(step, stored.places, mix, step.rows(step.s.q, mix.width));
  step.project(mix, w.attn_out, out);
  step.add_bias(w.attn_out_bias, out);
}

}  // namespace fovea::model
