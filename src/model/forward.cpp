#include "model/forward.h"

#include <array>
#include <cassert>
#include <cstring>

#include "kernels/matmul.h"

namespace fovea::model {
namespace {

using kernels::Compute;
using kernels::Product;
using kernels::Rows;

const float* weight_of(const AlignedArray<float>& norm) { return norm.empty() ? nullptr : norm.data(); }

Rows first_rows(Rows all, int rows, int width) { return {all.data, rows, width}; }

void project(Compute& compute, Rows x, const kernels::PackedMatrix& weights, Rows out) {
  const Product product = {&weights, out.data, out.width};
  kernels::multiply(compute, x.data, x.width, x.rows, {&product, 1});
}

void rotate_and_norm(const Compute& compute, const ModelSpec& spec, const AttentionSpec& attention, int heads,
                     const AlignedArray<float>& norm, const Scratch& s, Rows x) {
  kernels::HeadTransform transform = {heads, attention.head_dim, weight_of(norm), spec.norm_eps, nullptr, nullptr, 0, true};
  if (attention.rope >= 0) {
    const auto rope = static_cast<size_t>(attention.rope);
    transform.cosines = s.cosines[rope];
    transform.sines = s.sines[rope];
    transform.pairs = spec.ropes[rope].dims / 2;
    transform.half_pairing = spec.ropes[rope].pairing == Rope::Pairing::half;
  }
  kernels::transform_heads(compute, transform, x);
}

void store(const Compute& compute, const Batch& batch, const kernels::KvLayout& layout,
           std::span<const kernels::KvPages> pages, Rows k, Rows v) {
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const kernels::SequenceRows& sequence = batch.sequences[s];
    compute.for_rows(sequence.rows, kernels::kPageTokens, [&](int begin, int end) {
      for (int i = begin; i < end; ++i) {
        const int position = sequence.first_position + i, row = sequence.first_row + i;
        if (position < pages[s].first_writable) continue;
        compute.set().store_kv(layout, pages[s].slice(position / kernels::kPageTokens),
                               position % kernels::kPageTokens, k.row(row), v.row(row));
      }
    });
  }
}

// Attention of one layer, from normed rows in s.h to s.h.
void attend(const ModelSpec& spec, int index, const LayerWeights& w, const Batch& batch, const kv::Cache& cache,
            Compute& compute, Scratch& s) {
  const AttentionSpec& attention = spec.layers[static_cast<size_t>(index)].attention;
  const int rows = batch.rows();
  const Rows h = first_rows(s.h, rows, spec.hidden);
  const Rows q = first_rows(s.q, rows, attention.q_heads * attention.head_dim);
  const Rows k = first_rows(s.k, rows, attention.kv_heads * attention.head_dim);
  const Rows v = first_rows(s.v, rows, k.width);
  const Rows mix = first_rows(s.mix, rows, q.width);

  const std::array<Product, 3> qkv = {{{&w.q, q.data, q.width}, {&w.k, k.data, k.width}, {&w.v, v.data, v.width}}};
  kernels::multiply(compute, h.data, h.width, rows, qkv);
  rotate_and_norm(compute, spec, attention, attention.q_heads, w.q_norm, s, q);
  rotate_and_norm(compute, spec, attention, attention.kv_heads, w.k_norm, s, k);

  for (size_t i = 0; i < batch.ids.size(); ++i) s.pages[i] = cache.view(batch.ids[i], index);
  const std::span<const kernels::KvPages> pages(s.pages.data(), batch.ids.size());
  store(compute, batch, cache.layout(index), pages, k, v);
  kernels::attend(compute, {attention.q_heads, attention.window, attention.score_scale}, cache.layout(index),
                  batch.sequences, pages, q.data, mix.data);
  project(compute, mix, w.attn_out, h);
}

// Feed-forward of one layer, from normed rows in s.h to s.h.
void feed_forward(const ModelSpec& spec, const LayerSpec& facts, const LayerWeights& w, int rows, Compute& compute,
                  Scratch& s) {
  const Rows h = first_rows(s.h, rows, spec.hidden);
  const Rows gate = first_rows(s.gate, rows, facts.feed_forward.width);
  const Rows up = first_rows(s.up, rows, facts.feed_forward.width);
  const std::array<Product, 2> both = {{{&w.gate, gate.data, gate.width}, {&w.up, up.data, up.width}}};
  kernels::multiply(compute, h.data, h.width, rows, both);
  kernels::gate(compute, facts.feed_forward.activation, gate, up);
  project(compute, gate, w.down, h);
}

}  // namespace

void Batch::clear() {
  tokens.clear();
  positions.clear();
  sequences.clear();
  ids.clear();
}

void Batch::add(kv::SequenceId id, int position, std::span<const int32_t> more) {
  sequences.push_back({rows(), static_cast<int>(more.size()), position});
  ids.push_back(id);
  for (size_t i = 0; i < more.size(); ++i) {
    tokens.push_back(more[i]);
    positions.push_back(position + static_cast<int32_t>(i));
  }
}

void forward(const ModelSpec& spec, const Weights& weights, const Batch& batch, const kv::Cache& cache,
             Compute& compute, Scratch& s) {
  const int rows = batch.rows();
  const Rows x = first_rows(s.x, rows, spec.hidden), h = first_rows(s.h, rows, spec.hidden);
  assert(rows <= s.x.rows);
  s.pages.resize(batch.ids.size());

  kernels::embed(compute, weights.embedding, batch.tokens, spec.embedding_scale, x);
  for (size_t i = 0; i < spec.ropes.size(); ++i) {
    kernels::rotation_tables(compute, spec.ropes[i].frequencies, spec.ropes[i].magnitude, batch.positions,
                             s.cosines[i], s.sines[i]);
  }
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerWeights& w = weights.layers[i];
    kernels::rms_norm(compute, x, w.attn_norm.data(), spec.norm_eps, h);
    attend(spec, static_cast<int>(i), w, batch, cache, compute, s);
    kernels::add_normed(compute, h, weight_of(w.attn_post_norm), spec.norm_eps, x);
    kernels::rms_norm(compute, x, w.ffn_norm.data(), spec.norm_eps, h);
    feed_forward(spec, spec.layers[i], w, rows, compute, s);
    kernels::add_normed(compute, h, weight_of(w.ffn_post_norm), spec.norm_eps, x);
  }
}

void project_logits(const ModelSpec& spec, const Weights& weights, std::span<const int> rows, Compute& compute,
                    Scratch& s) {
  const int count = static_cast<int>(rows.size());
  const Rows picked = first_rows(s.picked, count, spec.hidden);
  const Rows logits = first_rows(s.logits, count, spec.vocabulary);
  for (int i = 0; i < count; ++i) {
    std::memcpy(picked.row(i), s.x.row(rows[static_cast<size_t>(i)]), static_cast<size_t>(spec.hidden) * sizeof(float));
  }
  kernels::rms_norm(compute, picked, weights.final_norm.data(), spec.norm_eps, picked);
  project(compute, picked, weights.output(), logits);
  if (spec.final_softcap > 0) kernels::softcap(compute, spec.final_softcap, logits);
}

}  // namespace fovea::model
