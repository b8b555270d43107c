#include "kernels/row_source.h"

#include <cassert>
#include <cstring>

namespace fovea::kernels {
namespace {

// Sixteen sums that are added at the end: an order that the compiler can keep in vectors.
float mean_of(const float* x, int n) {
  float lanes[16] = {};
  for (int i = 0; i < n; ++i) lanes[i % 16] += x[i];
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0] / static_cast<float>(n);
}

void layer_norm(const KernelSet& set, const float* x, const float* weight, int n, float eps, float* out) {
  const float mean = mean_of(x, n);
  for (int i = 0; i < n; ++i) out[i] = x[i] - mean;
  set.rms_norm(out, weight, n, eps, out);
}

}  // namespace

RowSource RowSource::normed(Rows x, Making making, const float* weight, float eps) {
  RowSource source(x);
  source.making = making;
  source.weight = weight;
  source.eps = eps;
  return source;
}

RowSource RowSource::gated(Activation activation, Rows gate, Rows up) {
  assert(gate.rows == up.rows && gate.width == up.width);
  RowSource source(gate);
  source.making = Making::gate;
  source.up = up.data;
  source.activation = activation;
  return source;
}

RowSource RowSource::part(int first, int count) const {
  RowSource rows_of_it = *this;
  rows_of_it.data = row(first);
  if (up) rows_of_it.up = up + first * stride;
  rows_of_it.rows = count;
  return rows_of_it;
}

void RowSource::make(const KernelSet& set, int i, int width, float* out) const {
  switch (making) {
    case Making::nothing:
      if (out != row(i)) std::memcpy(out, row(i), static_cast<size_t>(width) * sizeof(float));
      return;
    case Making::rms_norm:
      return set.rms_norm(row(i), weight, width, eps, out);
    case Making::layer_norm:
      return layer_norm(set, row(i), weight, width, eps, out);
    case Making::gate:
      return set.gate(activation, row(i), up + i * stride, width, out);
  }
}

void make_rows(const Compute& compute, const RowSource& source, Rows out) {
  compute.for_rows(source.rows, row_grain(out.width), [&](int begin, int end) {
    for (int i = begin; i < end; ++i) source.make(compute.set(), i, out.width, out.row(i));
  });
}

}  // namespace fovea::kernels
