#include "model/matrix_part.h"

#include <cassert>
#include <cstring>

#include "base/half.h"

namespace fovea::model {

size_t MatrixPart::row_bytes() const { return static_cast<size_t>(inputs) / facts(format).block_values * facts(format).block_bytes; }

MatrixPart whole(const files::Tensor& tensor) {
  assert(!tensor.shape.empty());
  const int64_t inputs = tensor.shape.back();
  return {tensor.format, tensor.values() / inputs, inputs, tensor.bytes, {}};
}

MatrixPart rows_of(const MatrixPart& part, int64_t first, int64_t count, int64_t step) {
  assert(first >= 0 && count > 0 && first + (count - 1) * step < part.outputs);
  const size_t row = part.row_bytes();
  MatrixPart rows = {part.format, count, part.inputs, {}, {}};
  if (step == 1) {
    rows.stored = part.bytes().subspan(static_cast<size_t>(first) * row, static_cast<size_t>(count) * row);
    return rows;
  }
  rows.owned.resize(static_cast<size_t>(count) * row);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(rows.owned.data() + static_cast<size_t>(i) * row, part.bytes().data() + static_cast<size_t>(first + i * step) * row, row);
  }
  return rows;
}

MatrixPart joined_rows(const files::Tensor& tensor, int64_t first, int64_t count) {
  constexpr size_t kValues = 32, kCodesBytes = 16;
  assert(tensor.format == NumberFormat::mxfp4 && !tensor.scales.empty());
  const auto per_row = static_cast<size_t>(tensor.shape.back()) / kValues;
  MatrixPart rows = {tensor.format, count, tensor.shape.back(), {}, {}};
  rows.owned.resize(static_cast<size_t>(count) * per_row * (1 + kCodesBytes));
  const size_t begin = static_cast<size_t>(first) * per_row, end = begin + static_cast<size_t>(count) * per_row;
  std::byte* to = rows.owned.data();
  for (size_t block = begin; block < end; ++block) {
    const std::byte* codes = tensor.bytes.data() + block * kCodesBytes;
    const auto code = [&](size_t value) { return codes[value / 2] >> (4 * (value % 2)) & std::byte{15}; };
    *to++ = tensor.scales[block];
    for (size_t j = 0; j < kCodesBytes; ++j) *to++ = code(j) | code(j + kCodesBytes) << 4;
  }
  return rows;
}

MatrixPart transposed(const MatrixPart& part) {
  const size_t size = facts(part.format).block_bytes;
  assert(facts(part.format).block_values == 1);
  MatrixPart result = {part.format, part.inputs, part.outputs, {}, std::vector<std::byte>(part.bytes().size())};
  for (int64_t i = 0; i < part.outputs; ++i) {
    for (int64_t k = 0; k < part.inputs; ++k) {
      std::memcpy(result.owned.data() + static_cast<size_t>(k * part.outputs + i) * size,
                  part.bytes().data() + static_cast<size_t>(i * part.inputs + k) * size, size);
    }
  }
  return result;
}

std::vector<float> floats_of(const files::Tensor& tensor) {
  assert(facts(tensor.format).block_values == 1);
  std::vector<float> values(static_cast<size_t>(tensor.values()));
  const std::byte* from = tensor.bytes.data();
  for (size_t i = 0; i < values.size(); ++i) {
    if (tensor.format == NumberFormat::f32) {
      std::memcpy(&values[i], from + 4 * i, 4);
      continue;
    }
    uint16_t half;
    std::memcpy(&half, from + 2 * i, 2);
    values[i] = tensor.format == NumberFormat::f16 ? float_from_f16(half) : float_from_bf16(half);
  }
  return values;
}

}  // namespace fovea::model
