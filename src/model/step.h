// What the parts of a forward pass share: the facts, the numbers, the batch, and where to compute.
#pragma once

#include "kernels/matmul.h"
#include "kernels/row_ops.h"
#include "model/forward.h"

namespace fovea::model {

using kernels::Rows;
using kernels::RowSource;

inline const float* weight_of(const AlignedArray<float>& weight) { return weight.empty() ? nullptr : weight.data(); }

struct Step {
  const ModelSpec& spec;
  const Weights& weights;
  const Batch& batch;
  const kv::Cache& cache;
  kernels::Compute& compute;
  Scratch& s;
  int stored_layer = -1;  // keys and values of this layer are in the cache already

  // The rows of this batch, `width` numbers each, in memory that has room for more.
  Rows rows(Rows all, int width) const { return {all.data, batch.rows(), width}; }
  Rows hidden(Rows all) const { return rows(all, spec.hidden); }

  const LayerSpec& facts(int layer) const { return spec.layers[static_cast<size_t>(layer)]; }
  // The layer whose keys and values this one reads.
  int owner(int layer) const { return facts(layer).attention.shares_with < 0 ? layer : facts(layer).attention.shares_with; }
  const LayerWeights& layer(int index) const { return weights.layers[static_cast<size_t>(index)]; }

  void project(const RowSource& x, const kernels::PackedMatrix& matrix, Rows out, kernels::Digits digits = kernels::Digits::one) const {
    const kernels::Product product = {&matrix, out.data, out.width};
    kernels::multiply(compute, x, {&product, 1}, digits);
  }
  // Of activations in the feed-forward of a layer. What the last one and the logits lose to rounding nothing comes after to even out:
  // a third to a half of all that 8 bits cost in the end (docs/performance.md, Quality). And they are rarely computed for more rows than
  // the one that is wanted.
  kernels::Digits digits(int layer) const {
    return layer + 1 == static_cast<int>(spec.layers.size()) ? kernels::Digits::two : kernels::Digits::one;
  }
  void add_bias(const AlignedArray<float>& bias, Rows x) const {
    if (!bias.empty()) kernels::add_to_each(compute, bias.data(), x);
  }
  // x as the model's norm makes it, on its way into products; or at once, for more than one reader.
  RowSource normed(Rows x, const AlignedArray<float>& weight) const {
    return spec.norm == NormKind::layer ? RowSource::layer_normed(x, weight_of(weight), spec.norm_eps)
                                        : RowSource::rms_normed(x, weight_of(weight), spec.norm_eps);
  }
  void norm(Rows x, const AlignedArray<float>& weight, Rows out) const { kernels::make_rows(compute, normed(x, weight), out); }
};

// Attention of one layer: rows of `in` to rows of `out`, [rows][hidden] both; `in` is read before `out` is written.
void attend(const Step& step, int layer, const RowSource& in, Rows out);
// Only what attention stores: keys and values of the rows.
void store_keys(const Step& step, int layer, const RowSource& in);
// The state-space mixer of one layer, likewise.
void mix_states(const Step& step, int layer, const RowSource& in, Rows out);
// Feed-forward of one layer, dense, of experts or both, likewise.
void feed_forward(const Step& step, int layer, const RowSource& in, Rows out);
// Experts of one layer, added up in step.s.expert_sum.
void run_experts(const Step& step, int layer, Rows in);

// Vectors that every layer gets for each token, into step.s.layer_inputs; REQUIRES the embedding in step.s.x.
void prepare_layer_inputs(const Step& step);
// What the layer makes of its vector and of `x`, into `out`.
void use_layer_input(const Step& step, int layer, Rows x, Rows out);

// The residual stream in several versions: made from step.s.x, run before and after each layer, and brought together
// in step.s.x.
void split_streams(const Step& step);
void predict_streams(const Step& step, int layer);
void correct_streams(const Step& step, int layer);
void join_streams(const Step& step);

// Moves the wanted rows (ascending) to the front of all that one layer hands on to the next, and puts them into `picked`.
void pick_rows(const Step& step, std::span<const int> wanted, Batch& picked);

}  // namespace fovea::model
