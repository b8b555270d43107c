// Matrices that lie within larger tensors: one expert of many, the rows of q within q|k|v.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "files/tensor_table.h"

namespace fovea::model {

// Rows of stored values. Refers to the file's bytes where they lie together, else owns a copy.
struct MatrixPart {
  NumberFormat format = NumberFormat::f32;
  int64_t outputs = 0, inputs = 0;
  std::span<const std::byte> stored;
  std::vector<std::byte> owned;

  std::span<const std::byte> bytes() const { return owned.empty() ? stored : std::span<const std::byte>(owned); }
  size_t row_bytes() const;
};

// The whole of a tensor of two dimensions; of one with more, the first ones together are the rows.
MatrixPart whole(const files::Tensor& tensor);
// Rows first, first + step, ..; REQUIRES them within the part.
MatrixPart rows_of(const MatrixPart& part, int64_t first, int64_t count, int64_t step = 1);
// The same of a tensor whose scales stand apart (files::Tensor::scales), put together in blocks.
MatrixPart joined_rows(const files::Tensor& tensor, int64_t first, int64_t count);
// [inputs][outputs] -> [outputs][inputs]. REQUIRES a plain format.
MatrixPart transposed(const MatrixPart& part);

// Values as floats. REQUIRES a plain format (f32, f16, bf16).
std::vector<float> floats_of(const files::Tensor& tensor);

}  // namespace fovea::model
