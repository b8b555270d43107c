// The residual stream in several versions (alternating updates, arXiv:2301.13310): a layer computes one of them, and corrects all by
// what it changed. How they mix is chosen per token by a small router.
#include <algorithm>
#include <cmath>
#include <vector>

#include "model/step.h"

namespace fovea::model {
namespace {

constexpr float kLeastMeanSquare = 1e-5f;

float mean_square(const float* x, int n) {
  double sum = 0;
  for (int d = 0; d < n; ++d) sum += static_cast<double>(x[d]) * x[d];
  return static_cast<float>(sum / n);
}

// Makes the rows of x as large as those of `like`.
void rescale(const Step& step, Rows like, Rows x) {
  step.compute.for_rows(x.rows, 4, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const float target = std::sqrt(mean_square(like.row(i), like.width));
      const float now = std::sqrt(std::max(mean_square(x.row(i), x.width), kLeastMeanSquare));
      step.compute.set().scale(target / now, x.width, x.row(i));
    }
  });
}

// tanh(router * norm(x) / hidden), one number per stream.
std::vector<float> modes(const Step& step, const StreamWeights& w, const float* x) {
  const int hidden = step.spec.hidden;
  std::vector<float> normed(static_cast<size_t>(hidden)), result;
  step.compute.set().rms_norm(x, w.router_norm.data(), hidden, step.spec.norm_eps, normed.data());
  for (int a = 0; a < step.spec.streams.count; ++a) {
    double sum = 0;
    for (int d = 0; d < hidden; ++d) sum += static_cast<double>(normed[static_cast<size_t>(d)]) * w.router.data()[int64_t{a} * hidden + d];
    result.push_back(std::tanh(static_cast<float>(sum / hidden)));
  }
  return result;
}

// row of a matrix [..][streams] times the modes
float mixed(const AlignedArray<float>& matrix, int row, const std::vector<float>& m) {
  float sum = 0;
  for (size_t b = 0; b < m.size(); ++b) sum += matrix.data()[static_cast<size_t>(row) * m.size() + b] * m[b];
  return sum;
}

Rows stream(const Step& step, std::vector<Rows>& all, int index) { return step.hidden(all[static_cast<size_t>(index)]); }

void copy(Rows from, Rows to) { std::copy_n(from.data, static_cast<size_t>(from.rows) * static_cast<size_t>(from.width), to.data); }

}  // namespace

void split_streams(const Step& step) {
  const Rows x = step.hidden(step.s.x);
  copy(x, stream(step, step.s.streams, 0));
  for (int a = 1; a < step.spec.streams.count; ++a) {
    const Rows other = stream(step, step.s.streams, a);
    step.project(x, step.weights.stream_in[static_cast<size_t>(a - 1)], other);
    rescale(step, x, other);
  }
}

void predict_streams(const Step& step, int layer) {
  const StreamWeights& w = step.layer(layer).streams;
  const int count = step.spec.streams.count, hidden = step.spec.hidden, active = step.spec.streams.active;
  step.compute.for_rows(step.batch.rows(), 1, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const std::vector<float> m = modes(step, w, stream(step, step.s.streams, active).row(i));
      for (int a = 0; a < count; ++a) {
        float* out = stream(step, step.s.predictions, a).row(i);
        std::copy_n(stream(step, step.s.streams, a).row(i), hidden, out);
        for (int b = 0; b < count; ++b) {
          const float weight = mixed(w.predict, a * count + b, m);
          const float* from = stream(step, step.s.streams, b).row(i);
          for (int d = 0; d < hidden; ++d) out[d] += weight * from[d];
        }
      }
    }
  });
  copy(stream(step, step.s.predictions, active), step.hidden(step.s.x));
}

void correct_streams(const Step& step, int layer) {
  const StreamWeights& w = step.layer(layer).streams;
  const int count = step.spec.streams.count, hidden = step.spec.hidden, active = step.spec.streams.active;
  const Rows y = step.hidden(step.s.x), h = step.hidden(step.s.h), scaled = step.hidden(step.s.side);
  const Rows predicted = stream(step, step.s.predictions, active);
  step.compute.for_rows(y.rows, 1, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const std::vector<float> m = modes(step, w, y.row(i));
      for (int a = 0; a < count; ++a) {
        const float weight = mixed(w.correct, a, m) + 1;
        const float* from = stream(step, step.s.predictions, a).row(i);
        float* out = stream(step, step.s.streams, a).row(i);
        for (int d = 0; d < hidden; ++d) out[d] = from[d] + (y.row(i)[d] - predicted.row(i)[d]) * weight;
      }
      const float* first = stream(step, step.s.streams, active).row(i);
      for (int d = 0; d < hidden; ++d) scaled.row(i)[d] = first[d] * w.scale.data()[d];
    }
  });
  use_layer_input(step, layer, scaled, h);
  for (int a = 0; a < count; ++a) {
    if (a != active) kernels::add(step.compute, h, stream(step, step.s.streams, a));
  }
}

void join_streams(const Step& step) {
  const Rows x = step.hidden(step.s.x), h = step.hidden(step.s.h), first = stream(step, step.s.streams, 0);
  copy(first, x);
  for (int a = 1; a < step.spec.streams.count; ++a) {
    step.project(stream(step, step.s.streams, a), step.weights.stream_out[static_cast<size_t>(a - 1)], h);
    rescale(step, first, h);
    kernels::add(step.compute, h, x);
  }
  kernels::scale(step.compute, 1 / static_cast<float>(step.spec.streams.count), x);
}

}  // namespace fovea::model
