#include "model/matrix_part.h"

#include <gtest/gtest.h>

#include <array>

#include "kernels/packed_matrix.h"

namespace fovea::model {
namespace {

// Codes count up along a row; the scale of a block is 2^(its number).
files::Tensor pair_of(const std::vector<std::byte>& codes, const std::vector<std::byte>& scales) {
  return {"pair", NumberFormat::mxfp4, {2, 64}, codes, "test", scales};
}

TEST(MatrixPart, RowsOfAPairHoldItsNumbersInOrder) {
  std::vector<std::byte> codes(2 * 2 * 16), scales(4);
  for (size_t value = 0; value < 128; ++value) codes[value / 2] |= static_cast<std::byte>(value % 16) << (4 * (value % 2));
  for (size_t block = 0; block < 4; ++block) scales[block] = static_cast<std::byte>(127 + block);
  constexpr std::array<float, 16> kNumbers = {0, .5f, 1, 1.5f, 2, 3, 4, 6, 0, -.5f, -1, -1.5f, -2, -3, -4, -6};
  kernels::PanelMemory memory;
  ThreadPool pool(1);
  for (const int64_t row : {0, 1}) {
    const MatrixPart part = joined_rows(pair_of(codes, scales), row, 1);
    const auto matrix = kernels::PackedMatrix::pack(part.format, 1, 64, part.bytes(), memory, pool);
    std::array<float, 64> read;
    matrix.read_row(0, read);
    for (size_t i = 0; i < 64; ++i) {
      const auto block = static_cast<size_t>(row) * 2 + i / 32;
      EXPECT_EQ(read[i], kNumbers[i % 16] * static_cast<float>(1 << block)) << row << " " << i;
    }
  }
}

TEST(MatrixPart, EverySecondRowAndTheTransposedFormAreCopies) {
  const std::array<float, 6> numbers = {1, 2, 3, 4, 5, 6};
  const MatrixPart part = {NumberFormat::f32, 3, 2, std::as_bytes(std::span(numbers)), {}};
  const MatrixPart some = rows_of(part, 0, 2, 2), turned = transposed(part);
  const auto floats = [](const MatrixPart& p) {
    const auto* begin = reinterpret_cast<const float*>(p.bytes().data());
    return std::vector<float>(begin, begin + p.bytes().size() / sizeof(float));
  };
  EXPECT_EQ(floats(some), (std::vector<float>{1, 2, 5, 6}));
  EXPECT_EQ(floats(turned), (std::vector<float>{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(turned.outputs, 2);
}

}  // namespace
}  // namespace fovea::model
