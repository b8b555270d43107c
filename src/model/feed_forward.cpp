// Feed-forward of one layer: dense, of experts, or both side by side.
#include <array>
#include <cmath>
#include <cstring>

#include "model/step.h"

namespace fovea::model {
namespace {

// Gates below mean + sparsity * deviation of their row become 0, the others are lowered by as much.
void cut_gates(const Step& step, float sparsity, Rows gate) {
  step.compute.for_rows(gate.rows, 4, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const std::span<float> row(gate.row(i), static_cast<size_t>(gate.width));
      double sum = 0, squares = 0;
      for (const float g : row) sum += g;
      const double mean = sum / gate.width;
      for (const float g : row) squares += (g - mean) * (g - mean);
      const auto cut = static_cast<float>(mean + sparsity * std::sqrt(squares / gate.width));
      for (float& g : row) g = g > cut ? g - cut : 0.0f;
    }
  });
}

void dense(const Step& step, int index, const RowSource& in, Rows out) {
  const FeedForwardSpec& facts = step.facts(index).feed_forward;
  const LayerWeights& w = step.layer(index);
  const Rows gate = step.rows(step.s.gate, facts.width), up = step.rows(step.s.up, facts.width);
  const std::array<kernels::Product, 2> both = {{{&w.gate, gate.data, gate.width}, {&w.up, up.data, up.width}}};
  kernels::multiply(step.compute, in, both, step.digits(index));
  if (facts.sparsity > 0) cut_gates(step, facts.sparsity, gate);
  step.project(RowSource::gated(facts.activation, gate, up), w.down, out, step.digits(index));
}

// sigmoid(w x) of each row.
void find_shares(const Step& step, const AlignedArray<float>& w, Rows x, Rows shares) {
  step.compute.for_rows(x.rows, 8, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      double sum = 0;
      for (int d = 0; d < x.width; ++d) sum += static_cast<double>(x.row(i)[d]) * w.data()[d];
      *shares.row(i) = 1 / (1 + std::exp(-static_cast<float>(sum)));
    }
  });
}

void weigh(const Step& step, Rows shares, Rows x) {
  step.compute.for_rows(x.rows, 16, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) step.compute.set().scale(*shares.row(i), x.width, x.row(i));
  });
}

}  // namespace

void feed_forward(const Step& step, int index, const RowSource& in, Rows out) {
  const FeedForwardSpec& facts = step.facts(index).feed_forward;
  const LayerWeights& w = step.layer(index);
  const PartTimes::Scope time(step.s.times, Part::feed_forward);
  if (facts.experts.count == 0) return dense(step, index, in, out);
  kernels::make_rows(step.compute, in, out);  // router, experts and the dense part read it
  run_experts(step, index, out);
  const Rows sum = step.hidden(step.s.expert_sum);
  if (facts.width == 0) {
    std::memcpy(out.data, sum.data, static_cast<size_t>(sum.rows) * static_cast<size_t>(sum.width) * sizeof(float));
    return;
  }
  const Rows shares = step.rows(step.s.router, 1);
  if (facts.weighed) find_shares(step, w.experts.dense_weight, out, shares);
  dense(step, index, out, out);
  if (facts.weighed) weigh(step, shares, out);
  if (facts.experts.own_norms) step.norm(out, w.experts.dense_post_norm, out);
  kernels::add(step.compute, sum, out);
}

}  // namespace fovea::model
