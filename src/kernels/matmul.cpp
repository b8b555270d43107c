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
  Forms() = default;
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

// x minus what its 8-bit form in `block` stands for.
void subtract_rounded(const QuantBlock& block, const float* x, float* out) {
  for (int i = 0; i < kBlockInputs; ++i) out[i] = x[i] - block.scale * static_cast<float>(block.q[i]);
}

// Rows -> one tile of two digits, made in `room`, which has place for both digits of each.
void quantize_twice(const KernelSet& set, const RowSource& x, int first, int count, int inputs, bool biased, float* room,
                    QuantBlock* tile) {
  for (int r = 0; r < count; ++r) x.make(set, first + r, inputs, room + static_cast<int64_t>(r) * inputs);
  float* left = room + static_cast<int64_t>(count) * inputs;
  set.quantize_tile(room, inputs, count, inputs, false, tile);
  for (int b = 0; b < inputs / kBlockInputs; ++b) {
    for (int r = 0; r < count; ++r) {
      const int64_t at = static_cast<int64_t>(r) * inputs + b * kBlockInputs;
      subtract_rounded(tile[b * count + r], room + at, left + at);
    }
  }
  set.quantize_tile(room, inputs, 2 * count, inputs, biased, tile);
}

void arrange_twice(Compute& compute, const RowSource& x, int inputs) {
  constexpr int kRows = kTileRows / 2;
  const bool biased = compute.set().biased_tiles && 2 * x.rows > kFewRows;
  compute.pool().run((x.rows + kRows - 1) / kRows, [&](int tile, int thread) {
    const int first = tile * kRows, count = std::min(kRows, x.rows - first);
    quantize_twice(compute.set(), x, first, count, inputs, biased, reinterpret_cast<float*>(compute.scratch(thread)),
                   compute.quant_tiles() + int64_t{2} * first * (inputs / kBlockInputs));
  });
}

// Rows -> tiles, in the forms that the products need.
void arrange(Compute& compute, const RowSource& x, int inputs, Forms forms) {
  const int tiles = (x.rows + kTileRows - 1) / kTileRows;
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

// Panels per piece: enough work to pay for taking it (some microseconds at memory speed), little enough that the threads end together,
// and that one which is put aside in the middle of a piece keeps the others waiting only briefly.
int panels_per_piece(const PackedMatrix& weights, int rows, int threads) {
  constexpr size_t kPieceBytes = 64 * 1024;
  const size_t cost = weights.panel_size() * static_cast<size_t>(1 + rows / 8);
  const int by_cost = static_cast<int>(std::max<size_t>(1, kPieceBytes / cost));
  const int by_share = std::max(1, weights.panels() / (16 * threads));
  return std::min(by_cost, by_share);
}

void multiply_at_once(Compute& compute, const RowSource& x, std::span<const Product> products, Digits digits) {
  const int rows = x.rows, inputs = products[0].weights->inputs();
  Forms forms(products);
  if (digits == Digits::two && forms.quantized) {
    arrange_twice(compute, x, inputs);
    forms.quantized = false;
  }
  if (forms.quantized || forms.plain) arrange(compute, x, inputs, forms);

  std::array<int, kMostProducts> steps{};
  std::array<int, kMostProducts + 1> first_piece{};
  for (size_t i = 0; i < products.size(); ++i) {
    const PackedMatrix& weights = *products[i].weights;
    assert(weights.inputs() == inputs);
    steps[i] = panels_per_piece(weights, rows * count_of(digits), compute.pool().threads());
    first_piece[i + 1] = first_piece[i] + (weights.panels() + steps[i] - 1) / steps[i];
  }
  compute.pool().run_in_sequence(first_piece[products.size()], [&](int piece, int thread) {
    size_t i = 0;
    while (piece >= first_piece[i + 1]) ++i;
    const PackedMatrix& weights = *products[i].weights;
    const void* tiles =
        is_quantized(weights.format()) ? static_cast<const void*>(compute.quant_tiles()) : static_cast<const void*>(compute.plain_tiles());
    const PanelProduct product = {weights.format(),       inputs, weights.outputs(), weights.data(), tiles, rows, products[i].out,
                                  products[i].out_stride, digits};
    const int begin = (piece - first_piece[i]) * steps[i];
    compute.set().multiply_panels(product, begin, std::min(begin + steps[i], weights.panels()), compute.scratch(thread));
  });
}

}  // namespace

void multiply(Compute& compute, const RowSource& x, std::span<const Product> products, Digits digits) {
  assert(!products.empty() && products.size() <= kMostProducts);
  const int most = compute.most_rows() / count_of(digits);
  assert(most > 0);
  std::array<Product, kMostProducts> parts{};
  for (int first = 0; first < x.rows; first += most) {
    for (size_t i = 0; i < products.size(); ++i) {
      parts[i] = products[i];
      parts[i].out += first * products[i].out_stride;
    }
    multiply_at_once(compute, x.part(first, std::min(most, x.rows - first)), std::span(parts).first(products.size()), digits);
  }
}

}  // namespace fovea::kernels
