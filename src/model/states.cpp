// Selective state spaces (arXiv:2312.00752; the scalar form, arXiv:2405.21060), token by token: the same
// arithmetic for one token and for a chunk.
//
// What a layer carries from token to token, in the cache: the newest conv - 1 inputs of the convolution [conv - 1][channels], then
// the state [inner][state].
#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/step.h"

namespace fovea::model {
namespace {

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }
float silu(float x) { return x * sigmoid(x); }
float softplus(float x) { return x > 20.0f ? x : std::log1p(std::exp(x)); }

// Where the parts of a projected row begin.
struct Places {
  int convolved, gate, step;  // step: of the scalar form
  explicit Places(const StateSpec& f)
      : convolved(f.rank > 0 ? 0 : f.inner), gate(f.rank > 0 ? f.inner : 0), step(f.inner + f.conv_channels()) {}
};

// The rows of one sequence, and what it carries.
struct Run {
  int first_row, rows;
  float* tail;   // [conv - 1][channels]
  float* state;  // [inner][state]
};

// Causal convolution per channel, then silu.
void convolve(const Step& step, const StateSpec& f, const StateWeights& w, const Run& run, Rows projected, Rows out) {
  const int channels = f.conv_channels(), reach = f.conv - 1, at = Places(f).convolved;
  step.compute.for_rows(channels, 64, [&](int begin, int end) {
    for (int c = begin; c < end; ++c) {
      const auto input = [&](int i) { return i < 0 ? run.tail[(reach + i) * channels + c] : projected.row(run.first_row + i)[at + c]; };
      for (int i = 0; i < run.rows; ++i) {
        float sum = w.conv_bias.empty() ? 0.0f : w.conv_bias.data()[c];
        for (int j = 0; j < f.conv; ++j) sum = std::fma(w.conv.data()[c * f.conv + j], input(i - reach + j), sum);
        out.row(run.first_row + i)[c] = silu(sum);
      }
      for (int i = 0; i < reach; ++i) {  // ascending: what is read lies ahead of what is written
        run.tail[i * channels + c] = input(run.rows - reach + i);
      }
    }
  });
}

// Step sizes, B and C of each row from its convolved channels.
void project_selection(const Step& step, const StateSpec& f, const StateWeights& w, Rows convolved, Rows narrow, Rows steps) {
  step.project(convolved, w.projection, narrow);
  if (f.inner_norms) {
    for (int i = 0; i < narrow.rows; ++i) {
      const auto norm = [&](const AlignedArray<float>& weight, int at, int n) {
        step.compute.set().rms_norm(narrow.row(i) + at, weight.data(), n, step.spec.norm_eps, narrow.row(i) + at);
      };
      norm(w.step_norm, 0, f.rank);
      norm(w.b_norm, f.rank, f.state);
      norm(w.c_norm, f.rank + f.state, f.state);
    }
  }
  step.project(narrow, w.step, steps);
  step.add_bias(w.step_bias, steps);
  step.compute.for_rows(steps.rows, 1, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) std::transform(steps.row(i), steps.row(i) + steps.width, steps.row(i), softplus);
  });
}

// A decay per channel and number of its state.
void scan_channels(const Step& step, const StateSpec& f, const StateWeights& w, const Run& run, Rows projected, Rows convolved, Rows narrow,
                   Rows steps, Rows out) {
  const int gate_at = Places(f).gate;
  step.compute.for_rows(f.inner, 16, [&](int begin, int end) {
    for (int c = begin; c < end; ++c) {
      float* state = run.state + int64_t{c} * f.state;
      const float* decay = w.decay.data() + int64_t{c} * f.state;
      for (int i = run.first_row; i < run.first_row + run.rows; ++i) {
        const float* b = narrow.row(i) + f.rank;
        const float delta = steps.row(i)[c], u = convolved.row(i)[c];
        float y = w.skip.data()[c] * u;
        for (int n = 0; n < f.state; ++n) {
          state[n] = std::fma(std::exp(delta * decay[n]), state[n], delta * b[n] * u);
          y = std::fma(b[f.state + n], state[n], y);
        }
        out.row(i)[c] = y * silu(projected.row(i)[gate_at + c]);
      }
    }
  });
}

// One decay and step size per head; B and C come through the convolution.
void scan_heads(const Step& step, const StateSpec& f, const StateWeights& w, const Run& run, Rows projected, Rows convolved, Rows out) {
  const Places at(f);
  const int size = f.inner / f.heads, heads_per_group = f.heads / f.groups;
  step.compute.for_rows(f.inner, 16, [&](int begin, int end) {
    for (int c = begin; c < end; ++c) {
      const int h = c / size, group = h / heads_per_group;
      float* state = run.state + int64_t{c} * f.state;
      for (int i = run.first_row; i < run.first_row + run.rows; ++i) {
        const float* b = convolved.row(i) + f.inner + group * f.state;
        const float* read = b + f.groups * f.state;
        float delta = softplus(projected.row(i)[at.step + h] + w.step_bias.data()[h]);
        if (f.most_step > 0) delta = std::clamp(delta, f.least_step, f.most_step);
        const float u = convolved.row(i)[c], keep = std::exp(delta * w.decay.data()[h]);
        float y = w.skip.data()[h] * u;
        for (int n = 0; n < f.state; ++n) {
          state[n] = std::fma(keep, state[n], delta * b[n] * u);
          y = std::fma(read[n], state[n], y);
        }
        out.row(i)[c] = y * silu(projected.row(i)[at.gate + c]);
      }
    }
  });
  const int per_group = f.inner / f.groups;
  for (int i = run.first_row; i < run.first_row + run.rows; ++i) {
    for (int g = 0; g < f.groups; ++g) {
      float* part = out.row(i) + g * per_group;
      step.compute.set().rms_norm(part, w.norm.data() + g * per_group, per_group, step.spec.norm_eps, part);
    }
  }
}

}  // namespace

void mix_states(const Step& step, int layer, const RowSource& in, Rows out) {
  const StateSpec& f = step.facts(layer).state;
  const StateWeights& w = step.layer(layer).state;
  const PartTimes::Scope time(step.s.times, Part::states);
  const Rows projected = step.rows(step.s.projected, w.in.outputs()), convolved = step.rows(step.s.convolved, f.conv_channels());
  const Rows narrow = step.rows(step.s.step_in, f.rank > 0 ? f.rank + 2 * f.state : 0), steps = step.rows(step.s.step, f.inner);
  const Rows mixed = step.rows(step.s.mix, f.inner);
  step.project(in, w.in, projected);
  const auto run_of = [&](size_t s) {
    float* carried = step.cache.state(step.batch.ids[s], layer);
    return Run{step.batch.sequences[s].first_row, step.batch.sequences[s].rows, carried, carried + (f.conv - 1) * f.conv_channels()};
  };
  for (size_t s = 0; s < step.batch.ids.size(); ++s) convolve(step, f, w, run_of(s), projected, convolved);
  if (f.rank > 0) project_selection(step, f, w, convolved, narrow, steps);
  for (size_t s = 0; s < step.batch.ids.size(); ++s) {
    if (f.rank > 0) scan_channels(step, f, w, run_of(s), projected, convolved, narrow, steps, mixed);
    else scan_heads(step, f, w, run_of(s), projected, convolved, mixed);
  }
  step.project(mixed, w.out, out);
}

}  // namespace fovea::model
