// The functions that one instruction set provides, and the choice among them.
//
// Contract of every function here (the numerics contract of docs/architecture.md):
//   - each output is a function of its own inputs; the order of its additions is fixed by shapes and absolute positions
//   - no allocation, no threads; REQUIRES pointers that do not overlap unless said otherwise; unaligned is fine
//   - the functions of "scalar" are the specification; the others give the same bits for finite inputs, because they add in
//     the same order and round at the same places (the tests beside this file hold them to it); but products of stored bf16
//     below 1.2e-38 may count as 0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/number_format.h"
#include "kernels/activation.h"
#include "kernels/activation_tiles.h"
#include "kernels/key_turning.h"
#include "kernels/kv_layout.h"

namespace fovea::kernels {

// Some panels of one matrix times all rows.
struct PanelProduct {
  NumberFormat format = NumberFormat::f32;
  int inputs = 0;
  int outputs = 0;                    // of the whole matrix; the last panel may be partly empty
  const std::byte* panels = nullptr;  // of the whole matrix
  const void* tiles = nullptr;        // activations: quantized if the format is (biased as biased_tiles says), else plain
  int rows = 0;
  float* out = nullptr;  // [rows][out_stride]
  int64_t out_stride = 0;
  Digits digits = Digits::one;  // of quantized tiles
};

inline constexpr int kLineBytes = 64;  // that caches hold and fetch together

// What is brought into cache for later. Nothing depends on it but time.
struct SpanFetch {
  // While scores are computed, of every page of `span`: part `part` of `parts` of its keys and of its values.
  int span = 0;
  int part = 0, parts = 0;   // parts 0: nothing
  bool values_only = false;  // no keys
  bool keys_ahead = false;   // also the keys of the span itself, some pages ahead
  int keys_of = -1;          // while values are weighed, the keys of this span, if there is one
};

// Rows of queries that read the same keys: row r belongs to query position positions[r].
struct AttentionTile {
  int rows = 0;                           // 1..kTileRows
  const float* const* queries = nullptr;  // [rows] -> [head_dim]
  const int32_t* positions = nullptr;     // [rows]; keys beyond are not seen, see end_seen
  int window = 0;                         // 0: whole past; else keys j with position - window < j
  float scale = 1;
  const KvLayout* layout = nullptr;
  KvPages pages;
  int kv_head = 0;
  int chunk = 0;      // 0: none; else keys j with j / chunk == position / chunk
  float softcap = 0;  // 0: none; else scores become softcap * tanh(score / softcap)
  SpanFetch fetch = {};
  std::byte* unfolded = nullptr;        // narrow codecs and turned keys: what unfold_pages wrote of the span, as far as the tile sees it
  const KeyTurning* turning = nullptr;  // of keys that are turned as they are read (KvLayout::turned), of as many dimensions
  int newest_apart = 0;                 // so many of the newest keys lie in other pages (attention.h, NewestKeys): not seen here

  [[gnu::always_inline]] int end_seen(int row) const { return positions[row] + 1 - newest_apart; }  // first key that is not
};

// The oldest key that the query at `position` sees.
[[gnu::always_inline]] inline int oldest_seen(int window, int chunk, int position) {
  const int by_window = window == 0 || position < window ? 0 : position - window + 1;
  const int by_chunk = chunk == 0 ? 0 : position / chunk * chunk;
  return by_window > by_chunk ? by_window : by_chunk;
}

// What a row has gathered from some spans: sum of p_j * value_j with p_j = exp(score_j - max), and sum of p_j.
// Row r: values at sums + r * value_stride; max and weight at maxima[r], weights[r].
struct AttentionState {
  float* sums = nullptr;
  float* maxima = nullptr;
  float* weights = nullptr;
};

struct KernelSet {
  std::string_view name;
  bool (*supported)();
  // multiply_panels wants biased tiles for more than kFewRows rows (of tiles: rows times digits). (Byte products of this set take one
  // factor unsigned: either the weights as stored, or, where they are unfolded anyway, signed weights and biased activations, which costs
  // less per row.)
  bool biased_tiles;

  // Rows of floats -> one tile. rows <= kTileRows; inputs a multiple of 32 for the quantized form.
  void (*quantize_tile)(const float* x, int64_t stride, int rows, int inputs, bool biased, QuantBlock* tile);

  // out[m][n] = sum_k x[m][k] * W[n][k] for the outputs of panels [begin, end).
  // scratch: at least widened_panel_bytes(inputs).
  void (*multiply_panels)(const PanelProduct& product, int begin, int end, std::byte* scratch);
  // Byte products alone, from registers and the first cache: what no matrix product of this set can surpass on this machine.
  // Returns the multiply-adds that `rounds` rounds did.
  int64_t (*byte_products)(int64_t rounds);

  // out = x / sqrt(mean(x^2) + eps) * weight (weight null: 1). In place is fine.
  void (*rms_norm)(const float* x, const float* weight, int n, float eps, float* out);
  // residual += rms_norm(x)
  void (*rms_norm_add)(const float* x, const float* weight, int n, float eps, float* residual);
  void (*add)(const float* x, int n, float* sum);                                              // sum += x
  void (*scale)(float factor, int n, float* x);                                                // x *= factor
  void (*softcap)(float cap, int n, float* x);                                                 // x = cap * tanh(x / cap)
  void (*gate)(Activation activation, const float* gate, const float* up, int n, float* out);  // out = act(gate) * up
  // Turns pairs of a head: (a, b) -> (a cos - b sin, b cos + a sin). half: pairs (k, k + pairs); else (2k, 2k + 1).
  void (*rotate)(const float* cosines, const float* sines, int pairs, bool half, float* head);

  // Writes one position's key and value ([kv_heads][head_dim] each; value unused where it is in the key) into slot `slot`
  // of a page slice.
  void (*store_kv)(const KvLayout& layout, std::byte* slice, int slot, const float* key, const float* value);

  // Of pages [begin_page, end_page) of one span and one head, for attend_span: what a narrow codec stores -> bf16 pairs without
  // scales; and dimensions of keys that are turned as they are read. turning: as AttentionTile has it
  // unfolded: unfolded_span_bytes(head_dim), on a cache line.
  void (*unfold_pages)(const KvLayout& layout, const KeyTurning* turning, const KvPages& pages, int kv_head, int begin_page, int end_page,
                       std::byte* unfolded);

  // Arranges the tile's queries for attend_span, once for all spans; rotated, where the codec of the keys rotates them.
  // arranged: arranged_query_bytes(head_dim), on a cache line.
  void (*arrange_queries)(const AttentionTile& tile, std::byte* arranged);
  // Attends to the keys of one span (positions span * kSpanTokens ..) and writes what the rows gather from it.
  // A row that sees no key of the span gets max = -infinity and weight 0. Stored bf16 is multiplied in pairs by queries and
  // weights rounded to bf16: acc = fma(a[2i], b[2i], fma(a[2i + 1], b[2i + 1], acc)).
  // scratch: at least attention_scratch_bytes(), on a cache line.
  void (*attend_span)(const AttentionTile& tile, const std::byte* arranged, int span, const AttentionState& out, std::byte* scratch);
  // Rotates the weighted values of one head (value_dim numbers) back, where their codec has rotated them.
  void (*turn_back)(const KvLayout& layout, float* out);
  // state = state merged with part, `rows` rows of `stride` values. Spans are merged in ascending order.
  void (*merge)(int rows, int stride, const AttentionState& part, const AttentionState& state);
  // Which share of each row's softmax falls on each page of a span, now that `whole`, all spans merged, is known.
  // shares: [rows][kSpanTokens / kPageTokens]; scratch: as attend_span.
  void (*page_shares)(const AttentionTile& tile, const std::byte* arranged, int span, const AttentionState& whole, float* shares,
                      std::byte* scratch);
};

// Bytes of scratch for one panel widened to 8 bits with float scales.
constexpr size_t widened_panel_bytes(int inputs) {
  const size_t groups = static_cast<size_t>(inputs) / 16;  // scales, minima, corrections
  return static_cast<size_t>(inputs) * kPanelOutputs + 3 * groups * kPanelOutputs * sizeof(float);
}
constexpr size_t arranged_query_bytes(int head_dim) {
  const int padded = head_dim + 16;  // narrow keys: whole groups of each part
  return (static_cast<size_t>(kTileRows) * static_cast<size_t>(padded) * sizeof(float) + 63) / 64 * 64;
}
// Scores of a tile and a span, and weights times scales of a part of the keys.
constexpr size_t attention_scratch_bytes() { return 2 * static_cast<size_t>(kTileRows) * kSpanTokens * sizeof(float); }

// Sets that this build has, best first.
std::span<const KernelSet* const> all_kernel_sets();
// The best set of this machine, or the one named. errors: Error with the names that would work here.
const KernelSet& choose_kernels(std::string_view forced = "");

}  // namespace fovea::kernels
