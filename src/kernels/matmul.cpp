#include "kernels/matmul.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace fovea::kernels {
namespace {

constexpr size_t kMostProducts = 8;

void transpose_tile(const float* x, int64_t stride, int rows, int inputs, float* tile) {
  for (int k = 0; k < inputs; ++k) {
    for (int r = 0; r < rows; ++r) tile[static_cast<int64_t>(k) * rows + r] = x[r * stride + k];
  }
}

// Rows -> tiles, in the forms that the products need.
void arrange(Compute& compute, const float* x, int64_t stride, int rows, std::span<const Product> products) {
  const int inputs = products[0].weights->inputs();
  const auto quantized = [](const Product& p) { return is_quantized(p.weights->format()); };
  const bool any_quantized = std::any_of(products.begin(), products.end(), quantized);
  const bool any_plain = !std::all_of(products.begin(), products.end(), quantized);
  const int tiles = (rows + kTileRows - 1) / kTileRows;
  const bool biased = compute.set().biased_tiles && rows > kFewRows;
  compute.for_rows(tiles, 1, [&](int begin, int end) {
    for (int tile = begin; tile < end; ++tile) {
      const int64_t first = static_cast<int64_t>(tile) * kTileRows;
      const int count = std::min(kTileRows, rows - static_cast<int>(first));
      if (any_quantized) {
        compute.set().quantize_tile(x + first * stride, stride, count, inputs, biased,
                                    compute.quant_tiles() + first * (inputs / kBlockInputs));
      }
      if (any_plain) transpose_tile(x + first * stride, stride, count, inputs, compute.plain_tiles() + first * inputs);
    }
  });
}

// Panels per piece: enough work to pay for taking it (tens of microseconds at memory speed), little enough that a
// thread which is put aside in the middle of one keeps the others waiting only briefly.
int panels_per_piece(const PackedMatrix& weights, int rows, int threads) {
  constexpr size_t kPieceBytes = 96 * 1024;
  const size_t cost = weights.panel_size() * static_cast<size_t>(1 + rows / 8);
  const int by_cost = static_cast<int>(std::max<size_t>(1, kPieceBytes / cost));
  const int by_share = std::max(1, weights.panels() / (4 * threads));
  return std::min(by_cost, by_share);
}

}  // namespace

void multiply(Compute& compute, const float* x, int64_t x_stride, int rows, std::span<const Product> products) {
  assert(!products.empty() && products.size() <= kMostProducts);
  if (rows == 0) return;
  arrange(compute, x, x_stride, rows, products);

  std::array<int, kMostProducts> steps{};
  std::array<int, kMostProducts + 1> first_piece{};
  for (size_t i = 0; i < products.size(); ++i) {
    const PackedMatrix& weights = *products[i].weights;
    assert(weights.inputs() == products[0].weights->inputs());
    steps[i] = panels_per_piece(weights, rows, compute.pool().threads());
    first_piece[i + 1] = first_piece[i] + (weights.panels() + steps[i] - 1) / steps[i];
  }
  compute.pool().run(first_piece[products.size()], [&](int piece, int thread) {
    size_t i = 0;
    while (piece >= first_piece[i + 1]) ++i;
    const PackedMatrix& weights = *products[i].weights;
    const void* tiles = is_quantized(weights.format()) ? static_cast<const void*>(compute.quant_tiles())
                                                       : static_cast<const void*>(compute.plain_tiles());
    const PanelProduct product = {weights.format(), weights.inputs(), weights.outputs(),     weights.data(),
                                  tiles,            rows,             products[i].out, products[i].out_stride};
    const int begin = (piece - first_piece[i]) * steps[i];
    compute.set().multiply_panels(product, begin, std::min(begin + steps[i], weights.panels()),
                                  compute.scratch(thread));
  });
}

}  // namespace fovea::kernels
