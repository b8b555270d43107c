// Attention over one span of keys, written once over sixteen lanes. Included by <isa>/kernels.cpp inside its namespace.
//
// The arithmetic of one row and one span, whatever else is in the tile:
//   score_j = scale * (q_0 k_0 + q_1 k_1 + ..)     one chain of fused multiply-adds over ascending dimensions
//   max     = the largest score of the row's keys
//   p_j     = exp(score_j - max); weight = sum of p_j: lane l sums j = l, l + 16, .., then the lanes are summed
//   sums_d  = p_0 v_0d + p_1 v_1d + ..             one chain over ascending positions
// Keys that a row does not see weigh exactly 0; positions that no row of the tile sees are not read.

constexpr float kMinusInfinity = -__builtin_inff();

template <KvCodec kCodec>
inline F32x16 load_stored(const std::byte* base, int64_t value) {
  if constexpr (kCodec == KvCodec::f32) return load(reinterpret_cast<const float*>(base) + value);
  if constexpr (kCodec == KvCodec::f16) return load_f16(reinterpret_cast<const uint16_t*>(base) + value);
  if constexpr (kCodec == KvCodec::bf16) return load_bf16(reinterpret_cast<const uint16_t*>(base) + value);
}

// Dot products of kRows queries with the 16 keys of one page.
//   queries  [head_dim][kRows]
template <KvCodec kCodec, int kRows>
void score_page(const std::byte* keys, int head_dim, const float* queries, float scale, float* scores) {
  F32x16 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = zeros();
  for (int d = 0; d < head_dim; ++d) {
    const F32x16 key = load_stored<kCodec>(keys, static_cast<int64_t>(d) * kPageTokens);
    for (int r = 0; r < kRows; ++r) acc[r] = fma(key, set1(queries[d * kRows + r]), acc[r]);
  }
  for (int r = 0; r < kRows; ++r) store(scores + r * kSpanTokens, mul(acc[r], set1(scale)));
}

// Two pages at once where few rows would leave the multiply-add units waiting for each other.
template <KvCodec kCodec, int kRows>
void score_two_pages(const std::byte* keys, const std::byte* more, int head_dim, const float* queries, float scale,
                     float* scores) {
  F32x16 acc[2][kRows];
  for (int r = 0; r < kRows; ++r) acc[0][r] = acc[1][r] = zeros();
  for (int d = 0; d < head_dim; ++d) {
    const F32x16 key = load_stored<kCodec>(keys, static_cast<int64_t>(d) * kPageTokens);
    const F32x16 other = load_stored<kCodec>(more, static_cast<int64_t>(d) * kPageTokens);
    for (int r = 0; r < kRows; ++r) {
      const F32x16 q = set1(queries[d * kRows + r]);
      acc[0][r] = fma(key, q, acc[0][r]);
      acc[1][r] = fma(other, q, acc[1][r]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    store(scores + r * kSpanTokens, mul(acc[0][r], set1(scale)));
    store(scores + r * kSpanTokens + kPageTokens, mul(acc[1][r], set1(scale)));
  }
}

// Positions [begin, end) of a span that a row sees, counted from the span's first.
struct Seen {
  int begin, end;
};

inline Seen seen_by(const AttentionTile& tile, int row, int span) {
  const int first = span * kSpanTokens;
  const int oldest = tile.window == 0 ? 0 : tile.positions[row] - tile.window + 1;
  const int begin = oldest > first ? oldest - first : 0;
  const int end = tile.positions[row] + 1 - first;
  const int stop = end < kSpanTokens ? end : kSpanTokens;
  return {begin, stop > begin ? stop : begin};
}

template <KvCodec kCodec, int kRows>
void score_span(const AttentionTile& tile, int first_page, int begin_page, int end_page, const float* queries,
                float* scores) {
  const size_t head_bytes = static_cast<size_t>(tile.kv_head) * tile.layout->key_head_bytes();
  const int head_dim = tile.layout->head_dim;
  int page = begin_page;
  for (int ahead = begin_page; ahead < end_page; ++ahead) {
    touch(tile.pages.slice(first_page + ahead) + head_bytes, tile.layout->key_head_bytes());
  }
  if constexpr (kRows <= 6) {
    for (; page + 2 <= end_page; page += 2) {
      score_two_pages<kCodec, kRows>(tile.pages.slice(first_page + page) + head_bytes,
                                     tile.pages.slice(first_page + page + 1) + head_bytes, head_dim, queries,
                                     tile.scale, scores + page * kPageTokens);
    }
  }
  for (; page < end_page; ++page) {
    score_page<kCodec, kRows>(tile.pages.slice(first_page + page) + head_bytes, head_dim, queries, tile.scale,
                              scores + page * kPageTokens);
  }
}

// Scores of one row -> weights in place. Lanes outside `seen` become 0 in pages [begin_page, end_page).
inline void softmax_row(Seen seen, int begin_page, int end_page, float* scores, float& largest, float& weight) {
  if (seen.begin == seen.end) {
    for (int page = begin_page; page < end_page; ++page) store(scores + page * kPageTokens, zeros());
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
    const F32x16 p = exp(sub(load(scores + page * kPageTokens), set1(largest)));
    store(scores + page * kPageTokens, p);
    lane_sum = add(lane_sum, p);
  }
  weight = reduce_add(lane_sum);
}

// Weighted sums of the values of positions [begin, end): kRows rows x kVectors vectors of dimensions from `dim` on.
template <KvCodec kCodec, int kRows, int kVectors>
void weigh_values(const AttentionTile& tile, int first_page, int begin, int end, int dim, const float* weights,
                  float* sums) {
  const int stride = tile.layout->value_stride();
  const size_t head_offset =
      tile.layout->value_offset() + static_cast<size_t>(tile.kv_head) * tile.layout->value_head_bytes();
  F32x16 acc[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) acc[r][v] = zeros();
  }
  for (int page = begin / kPageTokens; page * kPageTokens < end; ++page) {
    const std::byte* values = tile.pages.slice(first_page + page) + head_offset;
    const int from = begin > page * kPageTokens ? begin - page * kPageTokens : 0;
    const int to = end - page * kPageTokens < kPageTokens ? end - page * kPageTokens : kPageTokens;
    const float* p = weights + page * kPageTokens;
    for (int slot = from; slot < to; ++slot) {
      F32x16 value[kVectors];
      for (int v = 0; v < kVectors; ++v) {
        value[v] = load_stored<kCodec>(values, static_cast<int64_t>(slot) * stride + dim + 16 * v);
      }
      for (int r = 0; r < kRows; ++r) {
        const F32x16 weight = set1(p[r * kSpanTokens + slot]);
        for (int v = 0; v < kVectors; ++v) acc[r][v] = fma(value[v], weight, acc[r][v]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) store(sums + r * stride + dim + 16 * v, acc[r][v]);
  }
}

template <KvCodec kCodec, int kRows>
void weigh_rows(const AttentionTile& tile, int first_page, int begin, int end, const float* weights, float* sums) {
  const int stride = tile.layout->value_stride();
  int dim = 0;
  for (; dim + 64 <= stride; dim += 64) weigh_values<kCodec, kRows, 4>(tile, first_page, begin, end, dim, weights, sums);
  for (; dim < stride; dim += 16) weigh_values<kCodec, kRows, 1>(tile, first_page, begin, end, dim, weights, sums);
}

template <KvCodec kCodec>
void weigh_span(const AttentionTile& tile, int first_page, int begin, int end, const float* weights, float* sums) {
  const int stride = tile.layout->value_stride();
  const size_t head_offset =
      tile.layout->value_offset() + static_cast<size_t>(tile.kv_head) * tile.layout->value_head_bytes();
  for (int page = begin / kPageTokens; page * kPageTokens < end; ++page) {
    touch(tile.pages.slice(first_page + page) + head_offset, tile.layout->value_head_bytes());
  }
  int row = 0;
  for (; row + 6 <= tile.rows; row += 6) {  // 24 sums: as many as registers hold
    weigh_rows<kCodec, 6>(tile, first_page, begin, end, weights + row * kSpanTokens, sums + row * stride);
  }
  for (; row + 4 <= tile.rows; row += 4) {
    weigh_rows<kCodec, 4>(tile, first_page, begin, end, weights + row * kSpanTokens, sums + row * stride);
  }
  for (; row < tile.rows; ++row) {
    weigh_rows<kCodec, 1>(tile, first_page, begin, end, weights + row * kSpanTokens, sums + row * stride);
  }
}

template <KvCodec kCodec>
void score_rows(const AttentionTile& tile, int first_page, int begin_page, int end_page, const float* queries,
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
void attend_span_of(const AttentionTile& tile, int span, const AttentionState& out, std::byte* scratch) {
  const int head_dim = tile.layout->head_dim;
  auto* queries = reinterpret_cast<float*>(scratch);
  float* scores = queries + static_cast<size_t>(kTileRows) * static_cast<size_t>(head_dim);
  for (int d = 0; d < head_dim; ++d) {
    for (int r = 0; r < tile.rows; ++r) queries[d * tile.rows + r] = tile.queries[r][d];
  }
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
  score_rows<kCodec>(tile, first_page, begin_page, end_page, queries, scores);
  for (int r = 0; r < tile.rows; ++r) {
    softmax_row(seen_by(tile, r, span), begin_page, end_page, scores + r * kSpanTokens, out.maxima[r], out.weights[r]);
  }
  weigh_span<kCodec>(tile, first_page, begin, end, scores, out.sums);
}

void attend_span(const AttentionTile& tile, int span, const AttentionState& out, std::byte* scratch) {
  switch (tile.layout->codec) {
    case KvCodec::f32: return attend_span_of<KvCodec::f32>(tile, span, out, scratch);
    case KvCodec::f16: return attend_span_of<KvCodec::f16>(tile, span, out, scratch);
    case KvCodec::bf16: return attend_span_of<KvCodec::bf16>(tile, span, out, scratch);
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
inline void store_stored(std::byte* base, int64_t value, F32x16 a) {
  if constexpr (kCodec == KvCodec::f32) store(reinterpret_cast<float*>(base) + value, a);
  if constexpr (kCodec == KvCodec::f16) {  // saturates: an infinity would reach rows that weigh it with 0
    const F32x16 inside = min(set1(kLargestF16), max(set1(-kLargestF16), a));  // in this order NaN stays NaN
    store_f16(reinterpret_cast<uint16_t*>(base) + value, inside);
  }
  if constexpr (kCodec == KvCodec::bf16) store_bf16(reinterpret_cast<uint16_t*>(base) + value, a);
}

template <KvCodec kCodec, typename Stored>
void store_kv_of(const KvLayout& layout, std::byte* slice, int slot, const float* key, const float* value) {
  const int head_dim = layout.head_dim;
  for (int h = 0; h < layout.kv_heads; ++h, key += head_dim, value += head_dim) {
    auto* keys = reinterpret_cast<Stored*>(slice + static_cast<size_t>(h) * layout.key_head_bytes());
    std::byte* values = slice + layout.value_offset() + static_cast<size_t>(h) * layout.value_head_bytes();
    const int64_t row = static_cast<int64_t>(slot) * layout.value_stride();
    for (int d = 0; d < head_dim; d += 16) {
      const int count = head_dim - d < 16 ? head_dim - d : 16;
      alignas(64) Stored across[16];
      store_stored<kCodec>(reinterpret_cast<std::byte*>(across), 0, load_first(key + d, count));
      for (int i = 0; i < count; ++i) keys[(d + i) * kPageTokens + slot] = across[i];
      store_stored<kCodec>(values, row + d, load_first(value + d, count));  // pads the row with zeros
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
