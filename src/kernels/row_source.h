// Rows that enter a matrix product: as they lie, or made from others on their way in. What is made stays in the first caches until it is
// arranged for the product; it never goes through memory, and no thread waits for another in between.
#pragma once

#include <cstdint>

#include "kernels/activation.h"
#include "kernels/kernel_set.h"
#include "kernels/row_ops.h"

namespace fovea::kernels {

struct RowSource {
  enum class Making : uint8_t {
    nothing,
    rms_norm,    // x / rms(x) * weight
    layer_norm,  // (x - mean(x)) / deviation(x) * weight
    gate,        // activation(x) * up
  };

  const float* data = nullptr;  // row i begins at data + i * stride
  int64_t stride = 0;
  int rows = 0;
  Making making = Making::nothing;
  const float* weight = nullptr;  // of norms; null: 1
  float eps = 0;
  const float* up = nullptr;  // of gate; lies as data does
  Activation activation = Activation::silu;

  RowSource() = default;
  RowSource(Rows x) : data(x.data), stride(x.width), rows(x.rows) {}  // NOLINT: rows are the plainest source
  RowSource(const float* first, int64_t row_stride, int count) : data(first), stride(row_stride), rows(count) {}

  static RowSource rms_normed(Rows x, const float* weight, float eps) { return normed(x, Making::rms_norm, weight, eps); }
  static RowSource layer_normed(Rows x, const float* weight, float eps) { return normed(x, Making::layer_norm, weight, eps); }
  static RowSource gated(Activation activation, Rows gate, Rows up);

  const float* row(int i) const { return data + i * stride; }
  RowSource part(int first, int count) const;  // rows first .. first + count - 1
  // Writes what row i gives, `width` numbers. `out` may be the row itself.
  void make(const KernelSet& set, int i, int width, float* out) const;

 private:
  static RowSource normed(Rows x, Making making, const float* weight, float eps);
};

// Every row of `source`, for those who need it more than once. `out` may be where the source lies.
void make_rows(const Compute& compute, const RowSource& source, Rows out);

}  // namespace fovea::kernels
