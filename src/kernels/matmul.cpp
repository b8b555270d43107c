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

// Which forms of activations some products need.
struct Forms {
  bool quantized = false, plain = false;
  explicit Forms(std::span<const Product> products) {
    for (const Product& p : products) (is_quantized(p.weights->format()) ? quantized : plain) = true;
  }
};

// Where the rows of a tile lie: in the source, or made in `room`.
struct TileRows {
  const float* data;
  int64_t stride;
};
TileRows rows_of_tile(const KernelSet& set, const RowSource& x, int first, int count, int inputs, float* room) {
  if (x.making == RowSource::Making::nothing) return {x.row(first), x.stride};
  for (int r = 0; r < count; ++r) x.make(set, first + r, inputs, room + static_cast<int64_t>(r) * inputs);
  return {room, inputs};
}

// Rows -> tiles, in the forms that the products need.
void arrange(Compute& compute, const RowSource& x, std::span<const Product> products) {
  const int inputs = products[0].weights->inputs(), tiles = (x.rows + kTileRows - 1) / kTileRows;
  const Forms forms(products);
  const bool biased = compute.set().biased_tiles && x.rows > kFewRows;
  compute.pool().run(tiles, [&](int tile, int thread) {
    const int first = tile * kTileRows, count = std::min(kTileRows, x.rows - first);
    float* room = reinterpret_cast<float*>(compute.scratch(thread));
    const TileRows rows = rows_of_tile(compute.set(), x, first, count, inputs, room);
    if (forms.quantized) {
      compute.set().quantize_tile(rows.data, rows.stride, count, inputs, biased,
                                  compute.quant_tiles() + int64_t{first} * (inputs / kBlockInputs));
    }
    if (forms.plain) transpose_tile(rows.data, rows.stride, count, inputs, compute.plain_tiles() + int64_t{first} * inputs);
  });
}

// Panels per piece: enough work to pay for taking it (some ten microseconds at memory speed), little enough that a
// thread which is put aside in the middle of one keeps the others waiting only briefly.
int panels_per_piece(const PackedMatrix& weights, int rows, int threads) {
  constexpr size_t kPieceBytes = 512 * 1024;
  const size_t cost = weights.panel_size() * static_cast<size_t>(1 + rows / 8);
  const int by_cost = static_cast<int>(std::max<size_t>(1, kPieceBytes / cost));
  const int by_share = std::max(1, weights.panels() / (4 * threads));
  return std::min(by_cost, by_share);
}

}  // namespace

void multiply(Compute& compute, const RowSource& x, std::span<const Product> products) {
  assert(!products.empty() && products.size() <= kMostProducts);
  const int rows = x.rows;
  if (rows == 0) return;
  arrange(compute, x, products);

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
    const void* tiles =
        is_quantized(weights.format()) ? static_cast<const void*>(compute.quant_tiles()) : static_cast<const void*>(compute.plain_tiles());
    const PanelProduct product = {weights.format(), weights.inputs(),      weights.outputs(), weights.data(), tiles, rows,
                                  products[i].out,  products[i].out_stride};
    const int begin = (piece - first_piece[i]) * steps[i];
    compute.set().multiply_panels(product, begin, std::min(begin + steps[i], weights.panels()), compute.scratch(thread));
  });
}

}  // namespace fovea::kernels
