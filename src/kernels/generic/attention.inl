// Attention over one span of keys, written once over sixteen lanes. Included by <isa>/kernels.cpp inside its namespace.
//
// The arithmetic of one row and one span, whatever else is in the tile:
//   score_j = scale * (q_0 k_0 + q_1 k_1 + ..)     one chain of fused multiply-adds over ascending dimensions
//   max     = the largest score of the row's keys
//   p_j     = exp(score_j - max); weight = sum of p_j: lane l sums j = l, l + 16, .., then the lanes are summed
//   sums_d  = p_0 v_0d + p_1 v_1d + ..             one chain over ascending positions
// Keys that a row does not see weigh exactly 0; positions that no row of the tile sees are not read.
// In bf16 the chains go by pairs, the second of a pair first, q and p are rounded to bf16, and p comes from rough_power_of_two.

constexpr float kMinusInfinity = -__builtin_inff();
constexpr size_t kWeightRowBytes = kSpanTokens * sizeof(float);

// How stored numbers are multiplied: kTogether terms of a sum at once, by factors that stand one after the other.
template <KvCodec kCodec>
struct Stored {
  static constexpr int kTogether = 1;
  using Factor = float;
  static F32x16 load_terms(const std::byte* base, int64_t vector) {
    if constexpr (kCodec == KvCodec::f32) return load(reinterpret_cast<const float*>(base) + 16 * vector);
    else return load_f16(reinterpret_cast<const uint16_t*>(base) + 16 * vector);
  }
  static F32x16 broadcast(const Factor* factors) { return set1(*factors); }
  static F32x16 add_products(F32x16 terms, F32x16 factor, F32x16 acc) { return fma(terms, factor, acc); }
  // Weights of scores beside the largest, as factors; returns what was stored.
  static F32x16 store_weights(Factor* to, F32x16 scores, float largest) {
    const F32x16 weights = exp(sub(scores, set1(largest)));
    store(to, weights);
    return weights;
  }
  static void store_factors(Factor* to, F32x16 a) { store(to, a); }
};

template <>
struct Stored<KvCodec::bf16> {
  static constexpr int kTogether = 2;
  using Factor = PairFactor;
  static PairTerms load_terms(const std::byte* base, int64_t vector) {
    return load_pairs(reinterpret_cast<const uint16_t*>(base) + 32 * vector);
  }
  static PairFactors broadcast(const Factor* factors) { return set1_pair(factors); }
  static F32x16 add_products(PairTerms terms, PairFactors factors, F32x16 acc) { return dot2(terms, factors, acc); }
  static F32x16 store_weights(Factor* to, F32x16 scores, float largest) {
    return store_pair_factors(to, rough_power_of_two(fma(scores, set1(kLog2e), set1(-(largest * kLog2e)))));
  }
  static void store_factors(Factor* to, F32x16 a) { store_pair_factors(to, a); }
};

template <KvCodec kCodec>
constexpr int steps_of(int dims) {
  return (dims + Stored<kCodec>::kTogether - 1) / Stored<kCodec>::kTogether;
}

// Lines of one page that are brought into cache a few at a time, between other work: memory that is first asked for when it is needed
// keeps the multiply-adds waiting for half their time.
class PageFetch {
 public:
  PageFetch() = default;
  PageFetch(const AttentionTile& tile, int page_of_span, int steps) {
    const SpanFetch& fetch = tile.fetch;
    const int page = fetch.span * (kSpanTokens / kPageTokens) + page_of_span;
    const int at = page - tile.pages.first_page;
    if (fetch.parts == 0 || at < 0 || at >= tile.pages.page_count) return;
    const size_t key_bytes = tile.layout->key_head_bytes(), value_bytes = tile.layout->value_head_bytes();
    const std::byte* slice = tile.pages.slice(page);
    keys_ = slice + static_cast<size_t>(tile.kv_head) * key_bytes;
    values_ = slice + tile.layout->value_offset() + static_cast<size_t>(tile.kv_head) * value_bytes;
    key_lines_ = static_cast<int>(key_bytes / kLineBytes);
    const int lines = key_lines_ + static_cast<int>(value_bytes / kLineBytes);
    next_ = lines * fetch.part / fetch.parts;
    end_ = lines * (fetch.part + 1) / fetch.parts;
    per_step_ = (end_ - next_ + steps - 1) / steps;
  }
  // Also fetches keys that lie in one run, a line per step.
  void and_keys(const std::byte* keys) { next_key_ = keys; }
  void step() {
    if (next_key_) {
      __builtin_prefetch(next_key_, 0, 2);
      next_key_ += kLineBytes;
    }
    for (int i = 0; i < per_step_ && next_ < end_; ++i, ++next_) {
      __builtin_prefetch(next_ < key_lines_ ? keys_ + next_ * kLineBytes : values_ + (next_ - key_lines_) * kLineBytes, 0, 2);
    }
  }

 private:
  static constexpr int kLineBytes = 64;
  const std::byte *keys_ = nullptr, *values_ = nullptr, *next_key_ = nullptr;
  int key_lines_ = 0, next_ = 0, end_ = 0, per_step_ = 0;
};

// The keys of one page, `per_step` lines at a time, while the values of a span are weighed.
class KeyFetch {
 public:
  KeyFetch() = default;
  KeyFetch(const AttentionTile& tile, int page_of_span, int part, int parts, int steps) {
    const int page = tile.fetch.keys_of * (kSpanTokens / kPageTokens) + page_of_span, at = page - tile.pages.first_page;
    if (tile.fetch.keys_of < 0 || at < 0 || at >= tile.pages.page_count) return;
    const size_t bytes = tile.layout->key_head_bytes();
    const std::byte* keys = tile.pages.slice(page) + static_cast<size_t>(tile.kv_head) * bytes;
    next_ = keys + bytes * static_cast<size_t>(part) / static_cast<size_t>(parts);
    end_ = keys + bytes * static_cast<size_t>(part + 1) / static_cast<size_t>(parts);
    per_step_ = (end_ - next_ + 64 * steps - 1) / (64 * steps);
  }
  void step() {
    for (int64_t i = 0; i < per_step_ && next_ < end_; ++i, next_ += 64) __builtin_prefetch(next_, 0, 2);
  }

 private:
  const std::byte *next_ = nullptr, *end_ = nullptr;
  int64_t per_step_ = 0;
};

// Dot products of kRows queries with the 16 keys of each of kPages pages. Several pages where few rows would leave the
// multiply-add units waiting for each other.
//   queries  [step][row][kTogether]
template <KvCodec kCodec, int kRows, int kPages>
void score_pages(const std::byte* const* keys, int head_dim, const typename Stored<kCodec>::Factor* queries, float scale,
                 PageFetch* fetch, float* scores) {
  using S = Stored<kCodec>;
  F32x16 acc[kPages][kRows];
#pragma GCC unroll 12
  for (int p = 0; p < kPages; ++p) {
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) acc[p][r] = zeros();
  }
  for (int step = 0; step < steps_of<kCodec>(head_dim); ++step, queries += kRows * S::kTogether) {
    decltype(S::load_terms(nullptr, 0)) terms[kPages];
    for (int p = 0; p < kPages; ++p) terms[p] = S::load_terms(keys[p], step);
    for (int p = 0; p < kPages; ++p) fetch[p].step();
    for (int r = 0; r < kRows; ++r) {
      const auto query = S::broadcast(queries + r * S::kTogether);
      for (int p = 0; p < kPages; ++p) acc[p][r] = S::add_products(terms[p], query, acc[p][r]);
    }
  }
#pragma GCC unroll 12
  for (int p = 0; p < kPages; ++p) {
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) store(scores + r * kSpanTokens + p * kPageTokens, mul(acc[p][r], set1(scale)));
  }
}

// Positions [begin, end) of a span that a row sees, counted from the span's first.
struct Seen {
  int begin, end;
};

inline Seen seen_by(const AttentionTile& tile, int row, int span) {
  const int first = span * kSpanTokens;
  const int oldest = oldest_seen(tile.window, tile.chunk, tile.positions[row]);
  const int begin = oldest > first ? oldest - first : 0;
  const int end = tile.positions[row] + 1 - first;
  const int stop = end < kSpanTokens ? end : kSpanTokens;
  return {begin, stop > begin ? stop : begin};
}

template <KvCodec kCodec, int kRows>
void score_span(const AttentionTile& tile, int first_page, int begin_page, int end_page, const std::byte* arranged,
                float* scores) {
  constexpr int kTogether = kRows <= 2 ? 4 : kRows <= 6 || kManyRegisters ? 2 : 1;
  const size_t head_bytes = static_cast<size_t>(tile.kv_head) * tile.layout->key_head_bytes();
  const auto* queries = reinterpret_cast<const typename Stored<kCodec>::Factor*>(arranged);
  const int head_dim = tile.layout->head_dim;
  const std::byte* keys[kSpanTokens / kPageTokens];
  PageFetch fetch[kSpanTokens / kPageTokens];
  for (int page = begin_page; page < end_page; ++page) {
    keys[page] = tile.pages.slice(first_page + page) + head_bytes;
    fetch[page] = PageFetch(tile, page, steps_of<kCodec>(head_dim));
  }
  if (tile.fetch.keys_ahead) {
    for (int page = begin_page; page + kTogether < end_page; ++page) fetch[page].and_keys(keys[page + kTogether]);
  }
  int page = begin_page;
  for (; page + kTogether <= end_page; page += kTogether) {
    score_pages<kCodec, kRows, kTogether>(keys + page, head_dim, queries, tile.scale, fetch + page, scores + page * kPageTokens);
  }
  for (; page < end_page; ++page) {
    score_pages<kCodec, kRows, 1>(keys + page, head_dim, queries, tile.scale, fetch + page, scores + page * kPageTokens);
  }
}

// Scores of one row -> weights, in place; as factors of the stored values. Those outside `seen` become 0 in pages
// [begin_page, end_page).
template <KvCodec kCodec>
inline void softmax_row(Seen seen, int begin_page, int end_page, float* scores, float& largest, float& weight) {
  using S = Stored<kCodec>;
  auto* weights = reinterpret_cast<typename S::Factor*>(scores);  // written where the scores have been read already
  if (seen.begin == seen.end) {
    for (int page = begin_page; page < end_page; ++page) S::store_weights(weights + page * kPageTokens, set1(kMinusInfinity), 0);
    largest = kMinusInfinity;
    weight = 0;
    return;
  }
  const auto lanes_seen = [&](int page, float fill) {
    const int begin = seen.begin - page * kPageTokens, end = seen.end - page * kPageTokens;
    const F32x16 all = load(scores + page * kPageTokens);
    if (begin <= 0 && end >= kPageTokens) return all;
    const auto clamp = [](int x) { return x < 0 ? 0 : x > kPageTokens ? kPageTokens : x; };
    return keep_lanes(all, clamp(begin), clamp(end), fill);
  };
  F32x16 lane_max = set1(kMinusInfinity);
  for (int page = begin_page; page < end_page; ++page) {
    const F32x16 kept = lanes_seen(page, kMinusInfinity);
    store(scores + page * kPageTokens, kept);
    lane_max = max(lane_max, kept);
  }
  largest = reduce_max(lane_max);
  F32x16 lane_sum = zeros();
  for (int page = begin_page; page < end_page; ++page) {
    lane_sum = add(lane_sum, S::store_weights(weights + page * kPageTokens, load(scores + page * kPageTokens), largest));
  }
  weight = reduce_add(lane_sum);
}

constexpr int kFetchingRows = 6;  // with as many, arithmetic takes longer than memory, and several tiles fetch for each other

// Weighted sums of the values of positions [begin, end): kRows rows x kVectors vectors of dimensions from `dim` on.
//   weights  rows of kWeightRowBytes
template <KvCodec kCodec, int kRows, int kVectors>
void weigh_values(const AttentionTile& tile, int first_page, int begin, int end, int dim, const std::byte* weights,
                  float* sums) {
  using S = Stored<kCodec>;
  constexpr int kSteps = kPageTokens / S::kTogether;  // of a page
  const int stride = tile.layout->value_stride();
  const size_t head_offset =
      tile.layout->value_offset() + static_cast<size_t>(tile.kv_head) * tile.layout->value_head_bytes();
  const auto factors = [&](int row, int step) {
    return reinterpret_cast<const typename S::Factor*>(weights + static_cast<size_t>(row) * kWeightRowBytes) +
           step * S::kTogether;
  };
  const int end_step = (end + S::kTogether - 1) / S::kTogether;
  F32x16 acc[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
    for (int v = 0; v < kVectors; ++v) acc[r][v] = zeros();
  }
  for (int step = begin / S::kTogether; step < end_step;) {
    const int page = step / kSteps;
    const std::byte* values = tile.pages.slice(first_page + page) + head_offset;
    const int page_end = (page + 1) * kSteps < end_step ? (page + 1) * kSteps : end_step;
    KeyFetch fetch;
    if (kRows < kFetchingRows) fetch = KeyFetch(tile, page, dim / (16 * kVectors), stride / (16 * kVectors), kSteps);
    for (; step < page_end; ++step) {
      if (kRows < kFetchingRows) fetch.step();
      const int64_t vector = (static_cast<int64_t>(step - page * kSteps) * stride + dim) / 16;
      decltype(S::load_terms(nullptr, 0)) value[kVectors];
      for (int v = 0; v < kVectors; ++v) value[v] = S::load_terms(values, vector + v);
      for (int r = 0; r < kRows; ++r) {
        const auto weight = S::broadcast(factors(r, step));
        for (int v = 0; v < kVectors; ++v) acc[r][v] = S::add_products(value[v], weight, acc[r][v]);
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
    for (int v = 0; v < kVectors; ++v) store(sums + r * stride + dim + 16 * v, acc[r][v]);
  }
}

template <KvCodec kCodec, int kRows>
void weigh_rows(const AttentionTile& tile, int first_page, int begin, int end, const std::byte* weights, float* sums) {
  const int stride = tile.layout->value_stride();
  int dim = 0;
  for (; dim + 64 <= stride; dim += 64) weigh_values<kCodec, kRows, 4>(tile, first_page, begin, end, dim, weights, sums);
  for (; dim < stride; dim += 16) weigh_values<kCodec, kRows, 1>(tile, first_page, begin, end, dim, weights, sums);
}

template <KvCodec kCodec>
void weigh_span(const AttentionTile& tile, int first_page, int begin, int end, const std::byte* weights, float* sums) {
  const int stride = tile.layout->value_stride();
  const auto rows_at = [&](auto rows, int row) {
    weigh_rows<kCodec, rows.value>(tile, first_page, begin, end, weights + static_cast<size_t>(row) * kWeightRowBytes,
                                   sums + row * stride);
  };
  int row = 0;
  for (; row + 6 <= tile.rows; row += 6) rows_at(std::integral_constant<int, 6>{}, row);  // as many sums as registers hold
  for (; row + 4 <= tile.rows; row += 4) rows_at(std::integral_constant<int, 4>{}, row);
  for (; row + 2 <= tile.rows; row += 2) rows_at(std::integral_constant<int, 2>{}, row);
  for (; row < tile.rows; ++row) rows_at(std::integral_constant<int, 1>{}, row);
}

#include "kernels/generic/values_in_key.inl"

template <KvCodec kCodec>
void score_rows(const AttentionTile& tile, int first_page, int begin_page, int end_page, const std::byte* queries,
                float* scores) {
  switch (tile.rows) {
    case 1: return score_span<kCodec, 1>(tile, first_page, begin_page, end_page, queries, scores);
    case 2: return score_span<kCodec, 2>(tile, first_page, begin_page, end_page, queries, scores);
    case 3: return score_span<kCodec, 3>(tile, first_page, begin_page, end_page, queries, scores);
    case 4: return score_span<kCodec, 4>(tile, first_page, begin_page, end_page, queries, scores);
    case 5: return score_span<kCodec, 5>(tile, first_page, begin_page, end_page, queries, scores);
    case 6: return score_span<kCodec, 6>(tile, first_page, begin_page, end_page, queries, scores);
    case 7: return score_span<kCodec, 7>(tile, first_page, begin_page, end_page, queries, scores);
    case 8: return score_span<kCodec, 8>(tile, first_page, begin_page, end_page, queries, scores);
    case 9: return score_span<kCodec, 9>(tile, first_page, begin_page, end_page, queries, scores);
    case 10: return score_span<kCodec, 10>(tile, first_page, begin_page, end_page, queries, scores);
    case 11: return score_span<kCodec, 11>(tile, first_page, begin_page, end_page, queries, scores);
    default: return score_span<kCodec, 12>(tile, first_page, begin_page, end_page, queries, scores);
  }
}

template <KvCodec kCodec>
void arrange_queries_of(const AttentionTile& tile, std::byte* arranged) {
  using S = Stored<kCodec>;
  using Factor = typename S::Factor;
  auto* to = reinterpret_cast<Factor*>(arranged);
  const int dims = tile.layout->head_dim, steps = steps_of<kCodec>(dims);
  for (int d = 0; d < dims; d += 16) {
    const int first = d / S::kTogether, count = steps - first < 16 / S::kTogether ? steps - first : 16 / S::kTogether;
    for (int r = 0; r < tile.rows; ++r) {
      alignas(64) Factor factors[16];
      S::store_factors(factors, d + 16 <= dims ? load(tile.queries[r] + d) : load_first(tile.queries[r] + d, dims - d));
      for (int step = 0; step < count; ++step) {
        __builtin_memcpy(to + ((first + step) * tile.rows + r) * S::kTogether, factors + step * S::kTogether,
                         S::kTogether * sizeof(Factor));
      }
    }
  }
}

void arrange_queries(const AttentionTile& tile, std::byte* arranged) {
  if (tile.layout->codec == KvCodec::bf16) return arrange_queries_of<KvCodec::bf16>(tile, arranged);
  return arrange_queries_of<KvCodec::f32>(tile, arranged);
}

// Scores of the keys of a span that some row sees; which those are.
template <KvCodec kCodec>
Seen score_seen(const AttentionTile& tile, const std::byte* arranged, int span, float* scores) {
  int begin = kSpanTokens, end = 0;  // what some row sees
  for (int r = 0; r < tile.rows; ++r) {
    const Seen seen = seen_by(tile, r, span);
    if (seen.begin == seen.end) continue;
    begin = seen.begin < begin ? seen.begin : begin;
    end = seen.end > end ? seen.end : end;
  }
  if (begin >= end) begin = end = 0;
  const int first_page = span * (kSpanTokens / kPageTokens);
  const int begin_page = begin / kPageTokens, end_page = (end + kPageTokens - 1) / kPageTokens;
  score_rows<kCodec>(tile, first_page, begin_page, end_page, arranged, scores);
  for (int r = 0; tile.softcap > 0 && r < tile.rows; ++r) {
    softcap(tile.softcap, (end_page - begin_page) * kPageTokens, scores + r * kSpanTokens + begin_page * kPageTokens);
  }
  return {begin, end};
}

template <KvCodec kCodec>
void attend_span_of(const AttentionTile& tile, const std::byte* arranged, int span, const AttentionState& out,
                    std::byte* scratch) {
  auto* scores = reinterpret_cast<float*>(scratch);
  const auto [begin, end] = score_seen<kCodec>(tile, arranged, span, scores);
  const int first_page = span * (kSpanTokens / kPageTokens);
  const int begin_page = begin / kPageTokens, end_page = (end + kPageTokens - 1) / kPageTokens;
  if (tile.layout->values_in_key > 0) {  // weights meet the keys as floats, in every codec
    for (int r = 0; r < tile.rows; ++r) {
      softmax_row<KvCodec::f32>(seen_by(tile, r, span), begin_page, end_page, scores + r * kSpanTokens, out.maxima[r],
                                out.weights[r]);
    }
    return weigh_keys<kCodec>(tile, first_page, begin_page, end_page, scores, out.sums);
  }
  for (int r = 0; r < tile.rows; ++r) {
    softmax_row<kCodec>(seen_by(tile, r, span), begin_page, end_page, scores + r * kSpanTokens, out.maxima[r],
                        out.weights[r]);
  }
  weigh_span<kCodec>(tile, first_page, begin, end, scratch, out.sums);
}

void attend_span(const AttentionTile& tile, const std::byte* arranged, int span, const AttentionState& out,
                 std::byte* scratch) {
  switch (tile.layout->codec) {
    case KvCodec::f32: return attend_span_of<KvCodec::f32>(tile, arranged, span, out, scratch);
    case KvCodec::f16: return attend_span_of<KvCodec::f16>(tile, arranged, span, out, scratch);
    case KvCodec::bf16: return attend_span_of<KvCodec::bf16>(tile, arranged, span, out, scratch);
  }
}

// exp of one number, by the same terms as everywhere.
inline float exp_of(float x) {
  float out[16];
  store(out, exp(set1(x)));
  return out[0];
}

void merge(int rows, int stride, const AttentionState& part, const AttentionState& state) {
  for (int r = 0; r < rows; ++r) {
    if (part.weights[r] == 0) continue;
    const float largest = state.maxima[r] > part.maxima[r] ? state.maxima[r] : part.maxima[r];
    const float keep = exp_of(state.maxima[r] - largest), take = exp_of(part.maxima[r] - largest);
    state.maxima[r] = largest;
    state.weights[r] = __builtin_fmaf(state.weights[r], keep, part.weights[r] * take);
    float* sums = state.sums + static_cast<int64_t>(r) * stride;
    const float* more = part.sums + static_cast<int64_t>(r) * stride;
    for (int d = 0; d < stride; d += 16) {
      store(sums + d, fma(load(sums + d), set1(keep), mul(load(more + d), set1(take))));
    }
  }
}

template <KvCodec kCodec>
inline void store_stored(std::byte* base, F32x16 a) {
  if constexpr (kCodec == KvCodec::f32) store(reinterpret_cast<float*>(base), a);
  constexpr float kMost = kCodec == KvCodec::f16 ? kLargestF16 : kLargestBf16;
  const F32x16 inside = min(set1(kMost), max(set1(-kMost), a));  // in this order NaN stays NaN
  if constexpr (kCodec == KvCodec::f16) store_f16(reinterpret_cast<uint16_t*>(base), inside);
  if constexpr (kCodec == KvCodec::bf16) store_bf16(reinterpret_cast<uint16_t*>(base), inside);
}

template <KvCodec kCodec, typename Number>
void store_kv_of(const KvLayout& layout, std::byte* slice, int slot, const float* key, const float* value) {
  const int head_dim = layout.head_dim;
  const bool own_values = layout.values_in_key == 0;
  for (int h = 0; h < layout.kv_heads; ++h, key += head_dim, value += own_values ? head_dim : 0) {
    auto* keys = reinterpret_cast<Number*>(slice + static_cast<size_t>(h) * layout.key_head_bytes());
    auto* values =
        reinterpret_cast<Number*>(slice + layout.value_offset() + static_cast<size_t>(h) * layout.value_head_bytes());
    for (int d = 0; d < head_dim; d += 16) {
      const int count = head_dim - d < 16 ? head_dim - d : 16;
      alignas(64) Number numbers[16];
      store_stored<kCodec>(reinterpret_cast<std::byte*>(numbers), load_first(key + d, count));
      for (int i = 0; i < count; ++i) keys[layout.key_at(d + i, slot)] = numbers[i];
      if (!own_values) continue;
      store_stored<kCodec>(reinterpret_cast<std::byte*>(numbers), load_first(value + d, count));
      for (int i = 0; i < 16; ++i) values[layout.value_at(slot, d + i)] = numbers[i];  // pads the row with zeros
    }
  }
}

void store_kv(const KvLayout& layout, std::byte* slice, int slot, const float* key, const float* value) {
  switch (layout.codec) {
    case KvCodec::f32: return store_kv_of<KvCodec::f32, float>(layout, slice, slot, key, value);
    case KvCodec::f16: return store_kv_of<KvCodec::f16, uint16_t>(layout, slice, slot, key, value);
    case KvCodec::bf16: return store_kv_of<KvCodec::bf16, uint16_t>(layout, slice, slot, key, value);
  }
}
