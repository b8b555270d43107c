// The specification of every kernel, one number at a time. Sums that the vector kernels keep in sixteen lanes are kept in
// sixteen lanes here too, because the order of additions is part of the contract.
#include "kernels/scalar/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "base/half.h"
#include "kernels/exp_terms.h"
#include "kernels/narrow_codec.h"
#include "kernels/panel_block.h"
#include "kernels/plain_number.h"
#include "kernels/scalar/lanes.h"
#include "kernels/scalar/narrow.h"

namespace fovea::kernels::scalar {
namespace {

float exp_of(float x) {
  if (!(x >= kExpLowest)) return 0;
  const float inside = std::min(x, kExpHighest);
  const float n = std::nearbyint(inside * kLog2e);
  float r = std::fma(n, -kLn2High, inside);
  r = std::fma(n, -kLn2Low, r);
  float p = kExpTerms[0];
  for (int i = 1; i < 6; ++i) p = std::fma(p, r, kExpTerms[i]);
  p = std::fma(p, r * r, r + 1.0f);
  return std::ldexp(p, static_cast<int>(n));
}

float rough_power_of_two(float x) {
  if (!(x >= kRoughLowest)) return 0;
  const float n = std::nearbyint(x), f = x - n;
  float p = kRoughTerms[0];
  for (int i = 1; i < 4; ++i) p = std::fma(p, f, kRoughTerms[i]);
  return std::ldexp(p, static_cast<int>(n));
}

float sigmoid(float x) { return 1.0f / (1.0f + exp_of(-x)); }

// ---- matrix products -----------------------------------------------------------------------------------------------

void quantize_tile(const float* x, int64_t stride, int rows, int inputs, bool biased, QuantBlock* tile) {
  for (int b = 0; b < inputs / kBlockInputs; ++b) {
    for (int r = 0; r < rows; ++r) {
      const float* values = x + r * stride + b * kBlockInputs;
      float largest = 0;
      for (int i = 0; i < kBlockInputs; ++i) largest = std::max(largest, std::fabs(values[i]));
      QuantBlock& block = tile[b * rows + r];
      block.scale = largest / 127.0f;
      const float inverse = largest > kLeastBlockMaximum ? 127.0f / largest : 0.0f;
      int32_t sums[2] = {0, 0};
      for (int i = 0; i < kBlockInputs; ++i) {
        const float whole = std::nearbyint(values[i] * inverse);
        block.q[i] = std::isfinite(whole) ? static_cast<int8_t>(whole) : int8_t{0};
        sums[i / 16] += block.q[i];
      }
      block.negative_sum_first = -sums[0];
      block.negative_sum = -(sums[0] + sums[1]);
      block.negative_scaled_sum = block.scale * static_cast<float>(block.negative_sum);
      if (!biased) continue;
      for (int8_t& q : block.q) q = static_cast<int8_t>(q ^ -128);
    }
  }
}

float quantized_product(NumberFormat format, const std::byte* panel, int inputs, int output, const QuantBlock* row, int rows) {
  const PanelTraits t = panel_traits(format);
  const int scales = kBlockInputs / t.scale_inputs;
  float acc = 0;
  PanelBlock w;
  for (int b = 0; b < inputs / kBlockInputs; ++b) {
    read_panel_block(format, panel, b, output, w);
    const QuantBlock& a = row[static_cast<int64_t>(b) * rows];
    int32_t sums[2] = {0, 0};
    for (int k = 0; k < kBlockInputs; ++k) sums[k / t.scale_inputs] += w.q[k] * a.q[k];
    for (int h = 0; h < scales; ++h) acc = std::fma(static_cast<float>(sums[h]), w.scales[h] * a.scale, acc);
    if (!t.has_min) continue;
    if (scales == 1) {
      acc = std::fma(w.minima[0], a.negative_scaled_sum, acc);
    } else {
      const int32_t negative[2] = {a.negative_sum_first, a.negative_sum - a.negative_sum_first};
      for (int h = 0; h < 2; ++h) acc = std::fma(w.minima[h], static_cast<float>(negative[h]) * a.scale, acc);
    }
  }
  return acc;
}

float plain_product(NumberFormat format, const std::byte* panel, int inputs, int output, const float* row, int rows) {
  float acc = 0;
  for (int k = 0; k < inputs; ++k) {
    acc = std::fma(read_panel_value(format, panel, k, output), row[static_cast<int64_t>(k) * rows], acc);
  }
  return acc;
}

void multiply_panels(const PanelProduct& p, int begin, int end, std::byte*) {
  const bool quantized = is_quantized(p.format);
  const int64_t row_units = quantized ? p.inputs / kBlockInputs : p.inputs;
  for (int n = begin * kPanelOutputs; n < std::min(end * kPanelOutputs, p.outputs); ++n) {
    const std::byte* panel = p.panels + static_cast<size_t>(n / kPanelOutputs) * panel_bytes(p.format, p.inputs);
    for (int m = 0; m < p.rows; ++m) {
      const int times = quantized ? count_of(p.digits) : 1, tile_rows = kTileRows / times;
      const int tile = m / tile_rows * tile_rows, rows = std::min(tile_rows, p.rows - tile);
      const int64_t at = times * tile * row_units + (m - tile);
      float& out = p.out[m * p.out_stride + n];
      if (quantized) {
        const auto* row = static_cast<const QuantBlock*>(p.tiles) + at;
        out = quantized_product(p.format, panel, p.inputs, n % kPanelOutputs, row, times * rows);
        if (times == 2) out += quantized_product(p.format, panel, p.inputs, n % kPanelOutputs, row + rows, times * rows);
      } else {
        const auto* row = static_cast<const float*>(p.tiles) + at;
        out = plain_product(p.format, panel, p.inputs, n % kPanelOutputs, row, rows);
      }
    }
  }
}

// ---- rows ----------------------------------------------------------------------------------------------------------

float inverse_rms(const float* x, int n, float eps) {
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) lanes[i % kLanes] = std::fma(x[i], x[i], lanes[i % kLanes]);
  return 1.0f / std::sqrt(reduce_lanes(lanes) / static_cast<float>(n) + eps);
}

void rms_norm(const float* x, const float* weight, int n, float eps, float* out) {
  const float inverse = inverse_rms(x, n, eps);
  for (int i = 0; i < n; ++i) out[i] = x[i] * inverse * (weight ? weight[i] : 1.0f);
}

void rms_norm_add(const float* x, const float* weight, int n, float eps, float* residual) {
  const float inverse = inverse_rms(x, n, eps);
  for (int i = 0; i < n; ++i) residual[i] = std::fma(x[i] * inverse, weight[i], residual[i]);
}

void add(const float* x, int n, float* sum) {
  for (int i = 0; i < n; ++i) sum[i] += x[i];
}

void scale(float factor, int n, float* x) {
  for (int i = 0; i < n; ++i) x[i] *= factor;
}

float softcap_of(float cap, float x) {
  const float z = x * (1.0f / cap);
  return cap * std::fma(2.0f, sigmoid(z + z), -1.0f);
}

void softcap(float cap, int n, float* x) {
  for (int i = 0; i < n; ++i) x[i] = softcap_of(cap, x[i]);
}

float gelu_tanh(float x) {
  const float u = x * (2.0f * 0.7978845608028654f) * std::fma(x * x, 0.044715f, 1.0f);
  return x * sigmoid(u);
}

void gate(Activation activation, const float* gate, const float* up, int n, float* out) {
  for (int i = 0; i < n; ++i) {
    const float z = gate[i];
    if (activation == Activation::silu_clamped) {
      const float g = std::min(kClampedLimit, z), u = std::min(kClampedLimit, std::max(-kClampedLimit, up[i]));
      out[i] = g * sigmoid(kClampedSlope * g) * (u + 1.0f);
      continue;
    }
    out[i] = (activation == Activation::silu ? z * sigmoid(z) : gelu_tanh(z)) * up[i];
  }
}

void rotate(const float* cosines, const float* sines, int pairs, bool half, float* head) {
  for (int k = 0; k < pairs; ++k) {
    float& a = half ? head[k] : head[2 * k];
    float& b = half ? head[k + pairs] : head[2 * k + 1];
    const float x = a, y = b;
    a = std::fma(-y, sines[k], x * cosines[k]);
    b = std::fma(y, cosines[k], x * sines[k]);
  }
}

int64_t byte_products(int64_t rounds) {
  volatile int8_t activation = 5;
  int32_t sum = 0;
  for (int64_t round = 0; round < rounds; ++round) sum += 3 * activation;
  volatile int32_t wanted = sum;
  static_cast<void>(wanted);
  return rounds;
}

// ---- attention -----------------------------------------------------------------------------------------------------

void store_key(const KvLayout& layout, std::byte* slice, int head, int slot, const float* key) {
  if (is_narrow(layout.codec.keys)) return store_narrow_key(layout, slice, head, slot, key);
  std::byte* keys = slice + static_cast<size_t>(head) * layout.key_head_bytes();
  for (int d = 0; d < layout.head_dim; ++d) store_number(layout.codec.keys, keys, layout.key_at(d, slot), key[d]);
}

void store_value(const KvLayout& layout, std::byte* slice, int head, int slot, const float* value) {
  if (is_narrow(layout.codec.values)) return store_narrow_value(layout, slice, head, slot, value);
  std::byte* values = slice + layout.value_offset() + static_cast<size_t>(head) * layout.value_head_bytes();
  for (int d = 0; d < layout.head_dim; ++d) store_number(layout.codec.values, values, layout.value_at(slot, d), value[d]);
}

void store_kv(const KvLayout& layout, std::byte* slice, int slot, const float* key, const float* value) {
  for (int head = 0; head < layout.kv_heads; ++head) {
    store_key(layout, slice, head, slot, key + head * layout.head_dim);
    if (layout.own_values()) store_value(layout, slice, head, slot, value + head * layout.head_dim);
  }
}

// Keys and values as they lie, without scales.
float stored_key(const KvLayout& layout, const std::byte* slice, int kv_head, int slot, int d) {
  if (is_narrow(layout.codec.keys)) return narrow_key(layout, slice, kv_head, slot, d);
  return load_number(layout.codec.keys, slice + static_cast<size_t>(kv_head) * layout.key_head_bytes(), layout.key_at(d, slot));
}

float key_at(const AttentionTile& tile, int position, int d) {
  return stored_key(*tile.layout, tile.pages.slice(position / kPageTokens), tile.kv_head, position % kPageTokens, d);
}

// Keys as queries meet them.
float scored_key_at(const AttentionTile& tile, int position, int d) {
  const KvLayout& layout = *tile.layout;
  if (d >= layout.turned) return key_at(tile, position, d);
  const std::byte* keys = turned_keys(layout, tile.unfolded, position % kSpanTokens / kPageTokens);
  const bool paired = is_paired(layout.codec.keys);
  return load_number(paired ? KvCodec::bf16 : KvCodec::f32, keys, layout.key_at(d, position % kPageTokens));
}

float value_at(const AttentionTile& tile, int position, int d) {
  const KvLayout& layout = *tile.layout;
  const std::byte* slice = tile.pages.slice(position / kPageTokens);
  const int slot = position % kPageTokens;
  if (is_narrow(layout.codec.values)) return narrow_value(layout, slice, tile.kv_head, slot, d);
  return load_number(layout.codec.values, slice + layout.value_offset() + static_cast<size_t>(tile.kv_head) * layout.value_head_bytes(),
                     layout.value_at(slot, d));
}

// Queries and weights as they meet stored numbers.
float as_factor(KvCodec codec, float x) { return is_paired(codec) ? float_from_bf16(bf16_from_float(x)) : x; }

// Products are summed in ascending order, in pairs the second first.
int nth_of_sum(KvCodec codec, int i) { return is_paired(codec) ? i ^ 1 : i; }

// acc + the products of dimensions [begin, end), which begin a pair.
float add_products(const AttentionTile& tile, const float* query, int position, int begin, int end, float acc) {
  const KvCodec codec = tile.layout->codec.keys;
  for (int i = 0; i < (end - begin + 1) / 2 * 2; ++i) {
    const int d = begin + nth_of_sum(codec, i);
    if (d >= end) continue;
    acc = std::fma(scored_key_at(tile, position, d), as_factor(codec, query[d]), acc);
  }
  return acc;
}

// query: rotated as the keys are
float score(const AttentionTile& tile, const float* query, int position) {
  const KvLayout& layout = *tile.layout;
  float sum = 0;
  if (is_narrow(layout.codec.keys)) {
    for (int i = 0; i < layout.key_parts(); ++i) {
      const KeyPart part = layout.key_part(i);
      if (!is_scaled(layout.codec.keys)) {
        sum = add_products(tile, query, position, part.begin, part.end, sum);
        continue;
      }
      const float of_part = add_products(tile, query, position, part.begin, part.end, 0);
      const std::byte* slice = tile.pages.slice(position / kPageTokens);
      sum = std::fma(of_part, key_scale(layout, slice, tile.kv_head, position % kPageTokens, i), sum);
    }
  } else {
    sum = add_products(tile, query, position, 0, layout.head_dim, 0);
  }
  const float scaled = sum * tile.scale;
  return tile.softcap > 0 ? softcap_of(tile.softcap, scaled) : scaled;
}

// A weight times the scale of a part of the key.
float weight_of_part(const AttentionTile& tile, int position, int part, float p) {
  const KvLayout& layout = *tile.layout;
  if (!is_scaled(layout.codec.keys)) return p;
  const float factor = p * key_scale(layout, tile.pages.slice(position / kPageTokens), tile.kv_head, position % kPageTokens, part);
  return factor < kLeastFactor ? 0.0f : factor;
}

// Values that are dimensions of the keys: lane l gathers positions l, l + 16, .. of the span, then the lanes are added.
void weigh_keys(const AttentionTile& tile, int begin, int end, const float* p, float* sums) {
  const KvLayout& layout = *tile.layout;
  for (int d = 0; d < layout.value_dim(); ++d) {
    const int part = layout.value_parts() == 2 && d >= layout.turned ? 1 : 0;
    float lanes[kLanes] = {};
    for (int j = begin; j < end; ++j) {
      lanes[j % kLanes] = std::fma(key_at(tile, j, d), weight_of_part(tile, j, part, p[j % kSpanTokens]), lanes[j % kLanes]);
    }
    sums[d] = reduce_lanes(lanes);
  }
}

void weigh_values(const AttentionTile& tile, int begin, int end, const float* p, float* sums) {
  for (int i = begin / 2 * 2; i < (end + 1) / 2 * 2; ++i) {
    const int j = nth_of_sum(tile.layout->codec.values, i);
    if (j < begin || j >= end) continue;
    for (int d = 0; d < tile.layout->head_dim; ++d) sums[d] = std::fma(value_at(tile, j, d), p[j % kSpanTokens], sums[d]);
  }
}

// Of a score beside the largest of its span.
float weight_of(const KvLayout& layout, float score, float largest) {
  if (!layout.own_values() || !is_paired(layout.codec.values)) return exp_of(score - largest);
  return rough_power_of_two(std::fma(score, kLog2e, -(largest * kLog2e)));
}

// A weight -> what it adds to the weight of all; p becomes what multiplies the stored value.
float take_factor(const AttentionTile& tile, int position, float& p) {
  const KvLayout& layout = *tile.layout;
  if (!layout.own_values()) return p;
  const KvCodec codec = layout.codec.values;
  if (!is_scaled(codec)) return p = as_factor(codec, p);
  const float factor = p * value_scale(layout, tile.pages.slice(position / kPageTokens), tile.kv_head, position % kPageTokens);
  return std::exchange(p, as_factor(codec, factor < kLeastFactor ? 0.0f : factor));
}

void attend_row(const AttentionTile& tile, const float* query, int row, int span, const AttentionState& out) {
  const KvLayout& layout = *tile.layout;
  const int first = span * kSpanTokens;
  const int oldest = oldest_seen(tile.window, tile.chunk, tile.positions[row]);
  const int begin = std::max(first, oldest), end = std::min(first + kSpanTokens, tile.end_seen(row));
  float* sums = out.sums + static_cast<int64_t>(row) * layout.value_stride();
  std::fill(sums, sums + layout.value_stride(), 0.0f);
  out.maxima[row] = -std::numeric_limits<float>::infinity();
  out.weights[row] = 0;
  if (begin >= end) return;

  float p[kSpanTokens] = {};
  for (int j = begin; j < end; ++j) {
    p[j - first] = score(tile, query, j);
    out.maxima[row] = std::max(out.maxima[row], p[j - first]);
  }
  float lanes[kLanes] = {};
  for (int j = begin; j < end; ++j) {
    p[j - first] = weight_of(layout, p[j - first], out.maxima[row]);
    lanes[(j - first) % kLanes] += take_factor(tile, j, p[j - first]);
  }
  out.weights[row] = reduce_lanes(lanes);
  if (layout.own_values()) weigh_values(tile, begin, end, p, sums);
  else weigh_keys(tile, begin, end, p, sums);
}

// Turned dimensions of one key, to where they are scored from.
void turn_key(const KvLayout& layout, const KeyTurning& turning, const KvPages& pages, int kv_head, int page, int slot, std::byte* to) {
  std::vector<float> key(static_cast<size_t>(layout.turned));
  for (int d = 0; d < layout.turned; ++d) key[static_cast<size_t>(d)] = stored_key(layout, pages.slice(page), kv_head, slot, d);
  if (is_scaled(layout.codec.keys)) turn(true, layout.turned, key.data());
  for (int d = 0; d < layout.turned; ++d) key[static_cast<size_t>(d)] *= turning.weights[d];
  const auto put = [&](int d, float x) {
    const uint16_t half = bf16_from_float(x);
    if (is_paired(layout.codec.keys)) std::memcpy(to + 2 * layout.key_at(d, slot), &half, 2);
    else std::memcpy(to + 4 * layout.key_at(d, slot), &x, 4);
  };
  for (int k = 0; k < turning.pairs; ++k) {
    const auto [c, s] = turning.angle(k, pages.position_of(page) + slot);
    const float x = key[static_cast<size_t>(2 * k)], y = key[static_cast<size_t>(2 * k + 1)];
    put(2 * k, std::fma(-y, s, x * c));
    put(2 * k + 1, std::fma(y, c, x * s));
  }
}

// Codes are read where they are.
void unfold_pages(const KvLayout& layout, const KeyTurning* turning, const KvPages& pages, int kv_head, int begin_page, int end_page,
                  std::byte* unfolded) {
  for (int page = begin_page; layout.turned > 0 && page < end_page; ++page) {
    for (int slot = 0; slot < kPageTokens; ++slot) {
      turn_key(layout, *turning, pages, kv_head, page, slot, turned_keys(layout, unfolded, page % kSpanPages));
    }
  }
}

// [rows][head_dim], rotated part by part as the keys are; not where those are turned as they are read.
void arrange_queries(const AttentionTile& tile, std::byte* arranged) {
  const KvLayout& layout = *tile.layout;
  auto* to = reinterpret_cast<float*>(arranged);
  for (int r = 0; r < tile.rows; ++r, to += layout.head_dim) {
    std::copy_n(tile.queries[r], layout.head_dim, to);
    for (int i = 0; is_scaled(layout.codec.keys) && i < layout.key_parts(); ++i) {
      const KeyPart part = layout.key_part(i);
      if (part.end > layout.turned) turn(false, part.end - part.begin, to + part.begin);
    }
  }
}

void attend_span(const AttentionTile& tile, const std::byte* arranged, int span, const AttentionState& out, std::byte*) {
  const auto* queries = reinterpret_cast<const float*>(arranged);
  for (int row = 0; row < tile.rows; ++row) attend_row(tile, queries + row * tile.layout->head_dim, row, span, out);
}

void turn_back(const KvLayout& layout, float* out) {
  if (!is_scaled(layout.own_values() ? layout.codec.values : layout.codec.keys)) return;
  if (layout.own_values()) return turn(true, layout.value_dim(), out);
  for (int i = 0; i < layout.value_parts(); ++i) {
    const KeyPart part = layout.key_part(i);
    turn(true, part.end - part.begin, out + part.begin);
  }
}

void merge(int rows, int stride, const AttentionState& part, const AttentionState& state) {
  for (int r = 0; r < rows; ++r) {
    if (part.weights[r] == 0) continue;
    const float largest = std::max(state.maxima[r], part.maxima[r]);
    const float keep = exp_of(state.maxima[r] - largest), take = exp_of(part.maxima[r] - largest);
    state.maxima[r] = largest;
    state.weights[r] = std::fma(state.weights[r], keep, part.weights[r] * take);
    for (int64_t d = static_cast<int64_t>(r) * stride; d < static_cast<int64_t>(r + 1) * stride; ++d) {
      state.sums[d] = std::fma(state.sums[d], keep, part.sums[d] * take);
    }
  }
}

void page_shares(const AttentionTile& tile, const std::byte* arranged, int span, const AttentionState& whole, float* shares, std::byte*) {
  const auto* queries = reinterpret_cast<const float*>(arranged);
  const int first = span * kSpanTokens;
  for (int row = 0; row < tile.rows; ++row) {
    const int oldest = oldest_seen(tile.window, tile.chunk, tile.positions[row]);
    for (int page = first; page < first + kSpanTokens; page += kPageTokens) {
      const int begin = std::max(page, oldest), end = std::min(page + kPageTokens, tile.end_seen(row));
      float lanes[kLanes] = {};
      for (int j = begin; j < end; ++j) lanes[j - page] = exp_of(score(tile, queries + row * tile.layout->head_dim, j) - whole.maxima[row]);
      *shares++ = begin < end ? reduce_lanes(lanes) / whole.weights[row] : 0.0f;
    }
  }
}

bool supported() { return true; }

}  // namespace

const KernelSet kKernels = {"scalar",    supported, false,   quantize_tile, multiply_panels, byte_products, rms_norm,     rms_norm_add,
                            add,         scale,     softcap, gate,          rotate,          store_kv,      unfold_pages, arrange_queries,
                            attend_span, turn_back, merge,   page_shares};

}  // namespace fovea::kernels::scalar
