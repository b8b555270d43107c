#include "model/forward.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "model/rope.h"
#include "model/step.h"

namespace fovea::model {
namespace {

void embed(const Step& step, Rows x) {
  kernels::embed(step.compute, step.weights.embedding, step.batch.tokens, step.spec.embedding_scale, x);
  for (size_t i = 0; i < step.spec.ropes.size(); ++i) {
    const Rope& rope = step.spec.ropes[i];
    kernels::rotation_tables(step.compute, frequencies_for(rope, step.s.context_tokens), rope.magnitude, step.batch.positions,
                             step.s.cosines[i], step.s.sines[i]);
  }
}

// x += post(h), where h is what attention or feed-forward gave.
void add_to_stream(const Step& step, Rows h, const AlignedArray<float>& post_norm, Rows x) {
  if (step.spec.residual_scale != 1) kernels::scale(step.compute, step.spec.residual_scale, h);
  kernels::add_normed(step.compute, h, weight_of(post_norm), step.spec.norm_eps, x);
}

void mix(const Step& step, int layer, const RowSource& in, Rows out) {
  if (step.facts(layer).state.inner > 0) mix_states(step, layer, in, out);
  else attend(step, layer, in, out);
}

// side = in + norm(out(in(..))): a linear branch through few dimensions
void low_rank_branch(const Step& step, const LayerWeights& w, Rows in, Rows side) {
  const Rows narrow = step.rows(step.s.gate, w.low_rank_in.outputs());
  step.project(in, w.low_rank_in, narrow);
  step.project(narrow, w.low_rank_out, side);
  step.norm(side, w.low_rank_norm, side);
  kernels::add(step.compute, in, side);
}

// What a part of the layer reads of the residual stream.
RowSource input_of(const Step& step, const LayerSpec& facts, const AlignedArray<float>& norm) {
  const Rows x = step.hidden(step.s.x);
  return facts.pre_norms ? step.normed(x, norm) : RowSource(x);
}

void run_layer(const Step& step, int index) {
  const LayerSpec& facts = step.facts(index);
  const LayerWeights& w = step.layer(index);
  const Rows x = step.hidden(step.s.x), h = step.hidden(step.s.h), side = step.hidden(step.s.side);
  const bool feeds = facts.feed_forward.width > 0 || facts.feed_forward.experts.count > 0;

  if (facts.parallel) {  // both read the same norm
    if (facts.pre_norms) step.norm(x, w.attn_norm, h);
    mix(step, index, h, side);
    feed_forward(step, index, h, h);
    add_to_stream(step, side, w.attn_post_norm, x);
    add_to_stream(step, h, w.ffn_post_norm, x);
    return;
  }
  if (facts.low_rank > 0) {
    step.norm(x, w.attn_norm, h);
    low_rank_branch(step, w, h, side);
    mix(step, index, h, h);
  } else {
    mix(step, index, input_of(step, facts, w.attn_norm), h);
  }
  add_to_stream(step, h, w.attn_post_norm, x);
  if (facts.low_rank > 0) {
    kernels::add(step.compute, side, x);
    kernels::scale(step.compute, std::sqrt(0.5f), x);
  }
  if (!feeds) return;
  feed_forward(step, index, input_of(step, facts, w.ffn_norm), h);
  add_to_stream(step, h, w.ffn_post_norm, x);
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

namespace {

void run_layers(const Step& step, int begin, int end) {
  const ModelSpec& spec = step.spec;
  const Rows x = step.hidden(step.s.x), h = step.hidden(step.s.h);
  for (int i = begin; i < end; ++i) {
    if (spec.streams.count > 0) predict_streams(step, i);
    run_layer(step, i);
    if (spec.streams.count > 0) {
      correct_streams(step, i);
    } else if (spec.layer_input.width > 0) {
      use_layer_input(step, i, x, h);
      kernels::add(step.compute, h, x);
    }
    if (step.facts(i).scaled_output) kernels::scale(step.compute, step.layer(i).output_scale, x);
  }
}

void make_room(const Batch& batch, Scratch& s) {
  s.pages.resize(batch.ids.size());
  s.newest_pages.resize(batch.ids.size());
  s.places.resize(batch.ids.size());
  s.attended.resize(batch.ids.size());
}

// Eviction of some sequence goes by how much every query attends: then all rows go through all layers.
bool counts_attention(const Step& step, int layer) {
  if (step.facts(layer).state.inner > 0) return false;
  return std::ranges::any_of(step.batch.ids,
                             [&](kv::SequenceId id) { return step.cache.attended(id, step.owner(layer)).pages != nullptr; });
}

// Runs layers for all rows for as long as something is stored. Returns the layer that only the wanted rows have to begin with, whose keys
// and values are stored if it has any.
int run_storing_layers(const Step& step) {
  const int layers = static_cast<int>(step.spec.layers.size()), last = last_storing_layer(step.spec);
  for (int i = last; i < layers; ++i) {
    if (!counts_attention(step, i)) continue;
    run_layers(step, 0, layers);
    return layers;
  }
  if (step.facts(last).state.inner > 0) {
    run_layers(step, 0, last + 1);
    return last + 1;
  }
  run_layers(step, 0, last);
  if (step.spec.streams.count > 0) predict_streams(step, last);
  store_keys(step, last, input_of(step, step.facts(last), step.layer(last).attn_norm));
  return last;
}

}  // namespace

void forward(const ModelSpec& spec, const Weights& weights, const Batch& batch, std::span<const int> wanted, const kv::Cache& cache,
             kernels::Compute& compute, Scratch& s) {
  assert(batch.rows() <= s.x.rows && std::is_sorted(wanted.begin(), wanted.end()));
  const Step all = {spec, weights, batch, cache, compute, s};
  const int layers = static_cast<int>(spec.layers.size());
  make_room(batch, s);
  embed(all, all.hidden(s.x));
  if (spec.layer_input.width > 0) prepare_layer_inputs(all);
  if (spec.streams.count > 0) split_streams(all);
  if (static_cast<int>(wanted.size()) == batch.rows()) {
    run_layers(all, 0, layers);
    if (spec.streams.count > 0) join_streams(all);
    return;
  }
  const int rest = run_storing_layers(all);
  if (wanted.empty()) return;
  pick_rows(all, wanted, s.wanted);
  make_room(s.wanted, s);
  const Step some = {spec, weights, s.wanted, cache, compute, s, rest};
  run_layers(some, rest, layers);
  if (spec.streams.count > 0) join_streams(some);
}

namespace {

RowSource final_normed(const ModelSpec& spec, const Weights& weights, int first, int count, Scratch& s) {
  const Rows states = {s.x.row(first), count, spec.hidden};
  return spec.norm == NormKind::layer ? RowSource::layer_normed(states, weights.final_norm.data(), spec.norm_eps)
                                      : RowSource::rms_normed(states, weights.final_norm.data(), spec.norm_eps);
}

}  // namespace

Rows final_states(const ModelSpec& spec, const Weights& weights, int first, int count, kernels::Compute& compute, Scratch& s) {
  const Rows states = {s.h.data, count, spec.hidden};
  kernels::make_rows(compute, final_normed(spec, weights, first, count, s), states);
  return states;
}

void project_logits(const ModelSpec& spec, const Weights& weights, int first, int count, kernels::Compute& compute, Scratch& s) {
  const PartTimes::Scope time(s.times, Part::logits);
  const Rows logits = {s.logits.data, count, spec.vocabulary};
  const kernels::Product product = {&weights.output(), logits.data, logits.width};
  kernels::multiply(compute, final_normed(spec, weights, first, count, s), {&product, 1}, kernels::Digits::two);
  if (spec.logit_scale != 1) kernels::scale(compute, spec.logit_scale, logits);
  if (spec.final_softcap > 0) kernels::softcap(compute, spec.final_softcap, logits);
}

}  // namespace fovea::model
