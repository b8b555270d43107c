// Attention over one span of keys, written once over sixteen lanes. Included by <isa>/kernels.cpp inside its namespace.
//
// The arithmetic of one row and one span, whatever else is in the tile:
//   score_j = scale * (q_0 k_0 + q_1 k_1 + ..)     one chain of fused multiply-adds over ascending dimensions
//   max     = the largest score of the row's keys
//   p_j     = exp(score_j - max); weight = sum of p_j: lane l sums j = l, l + 16, .., then the lanes are summed
//   sums_d  = p_0 v_0d + p_1 v_1d + ..             one chain over ascending positions
// Keys that a row does not see weigh exactly 0; positions that no row of the tile sees are not read.
// In bf16 the chains go by pairs, the second of a pair first, q and p are rounded to bf16, and p comes from rough_power_of_two.
//
// Narrow codecs are unfolded to pairs of bf16 before (unfold.inl) and go the same way. Where they have scales s and t:
//   score_j = scale * (s_j0 * (chain of part 0) + s_j1 * (chain of part 1))     one multiply-add per part
//   sums_d  = (p_0 t_0) v_0d + (p_1 t_1) v_1d + ..    p t rounded to bf16, below 2^-126 it is 0; weight sums p as it is
//
// Dimensions of keys that are turned as they are read (KvLayout::turned) come from where unfold_pages put them, turned; they begin the
// chain, or in narrow codecs are its part 0, as numbers that no codec has rotated.

constexpr float kMinusInfinity = -__builtin_inff();
constexpr size_t kWeightRowBytes = kSpanTokens * sizeof(float);

#include "kernels/generic/rotation.inl"

#include "kernels/generic/narrow_store.inl"
#include "kernels/generic/turning.inl"
#include "kernels/generic/unfold.inl"

// How a codec is computed with: narrow ones as bf16.
constexpr KvCodec computed_as(KvCodec codec) { return is_narrow(codec) ? KvCodec::bf16 : codec; }

// The pages of a span, counted from its first: one head's keys and values as they are computed with, and their scales.
struct SpanPages {
  int number;
  const std::byte* keys[kSpanPages];
  const std::byte* values[kSpanPages];
  const uint16_t* key_scales[kSpanPages];
  const uint16_t* value_scales[kSpanPages];
  const std::byte* turned[kSpanPages];
};

inline SpanPages span_pages(const AttentionTile& tile, int first_page, int begin_page, int end_page) {
  const KvLayout& layout = *tile.layout;
  const auto head = static_cast<size_t>(tile.kv_head);
  SpanPages span;
  span.number = first_page / kSpanPages;
  for (int page = begin_page; page < end_page; ++page) {
    const std::byte* slice = tile.pages.slice(first_page + page);
    span.keys[page] = slice + head * layout.key_head_bytes();
    span.values[page] = slice + layout.value_offset() + head * layout.value_head_bytes();
    if (is_narrow(layout.codec.keys)) span.keys[page] = reinterpret_cast<const std::byte*>(unfolded_keys(layout, tile.unfolded, page));
    if (is_narrow(layout.codec.values)) span.values[page] = reinterpret_cast<const std::byte*>(unfolded_values(layout, tile.unfolded, page));
    if (layout.turned > 0) span.turned[page] = turned_keys(layout, tile.unfolded, page);
    span.key_scales[page] = reinterpret_cast<const uint16_t*>(slice + layout.key_scales_offset(tile.kv_head));
    span.value_scales[page] = reinterpret_cast<const uint16_t*>(slice + layout.value_scales_offset(tile.kv_head));
  }
  return span;
}

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
  // Of scores beside the largest.
  static F32x16 weights(F32x16 scores, float largest) { return exp(sub(scores, set1(largest))); }
  // Returns what was stored.
  static F32x16 store_factors(Factor* to, F32x16 a) {
    store(to, a);
    return a;
  }
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
  static F32x16 weights(F32x16 scores, float largest) {
    return rough_power_of_two(fma(scores, set1(kLog2e), set1(-(largest * kLog2e))));
  }
  static F32x16 store_factors(Factor* to, F32x16 a) { return store_pair_factors(to, a); }
};

template <KvCodec kCodec>
constexpr int steps_of(int dims) {
  return (dims + Stored<kCodec>::kTogether - 1) / Stored<kCodec>::kTogether;
}

// Memory that is brought into cache a few lines at a time, between other work: what is first asked for when it is needed keeps the
// multiply-adds waiting for half their time. Some steps at once, or the processor sees too few of the loads that come after them.
class Fetch {
 public:
  Fetch() = default;
  // [begin, begin + bytes) in at most so many steps.
  Fetch(const std::byte* begin, size_t bytes, int steps)
      : next_(begin), end_(begin + bytes), per_step_(static_cast<int>(bytes + static_cast<size_t>(steps) - 1) / steps) {}
  // The lines of so many steps.
  [[gnu::always_inline]] void run(int steps) {
    const std::byte* stop = next_ + steps * per_step_;
    stop = stop < end_ ? stop : end_;
    for (; next_ < stop; next_ += kLineBytes) __builtin_prefetch(next_, 0, 2);
  }
  int bytes_per_step() const { return per_step_; }

 private:
  const std::byte *next_ = nullptr, *end_ = nullptr;
  int per_step_ = 0;  // bytes
};

// Part `part` of `parts` of a run.
inline Fetch fetch_part(const std::byte* run, size_t bytes, int part, int parts, int steps) {
  const size_t begin = bytes * static_cast<size_t>(part) / static_cast<size_t>(parts);
  return {run + begin, bytes * static_cast<size_t>(part + 1) / static_cast<size_t>(parts) - begin, steps};
}

// What is fetched while the scores of a page are computed.
struct PageFetch {
  Fetch keys, values;

  PageFetch() = default;
  PageFetch(const AttentionTile& tile, int page_of_span, int steps) {
    const SpanFetch& fetch = tile.fetch;
    const int page = fetch.span * kSpanPages + page_of_span, at = page - tile.pages.first_page;
    if (fetch.parts == 0 || at < 0 || at >= tile.pages.page_count) return;
    const size_t key_bytes = tile.layout->key_head_bytes(), value_bytes = tile.layout->value_head_bytes();
    const auto head = static_cast<size_t>(tile.kv_head);
    const std::byte* slice = tile.pages.slice(page);
    if (!fetch.values_only) keys = fetch_part(slice + head * key_bytes, key_bytes, fetch.part, fetch.parts, steps);
    values = fetch_part(slice + tile.layout->value_offset() + head * value_bytes, value_bytes, fetch.part, fetch.parts, steps);
  }
  [[gnu::always_inline]] void run(int steps) {
    keys.run(steps);
    values.run(steps);
  }
  // Steps that go by between one line and the next: found to be best, and never every step.
  int steps_at_once() const {
    const int most = keys.bytes_per_step() > values.bytes_per_step() ? keys.bytes_per_step() : values.bytes_per_step();
    return 8 * most <= kLineBytes ? 8 : 2 * most >= kLineBytes ? 2 : kLineBytes / most;
  }
};

// Steps of a chain of products: all of a key's, or each part's up to its end.
struct KeySteps {
  int parts;
  int ends[2];
  bool turned;  // the first part
};

template <KvCodec kCodec>
inline KeySteps key_steps(const KvLayout& layout, bool scaled) {
  const bool narrow = is_narrow(layout.codec.keys), turned = layout.turned > 0;
  const int all = narrow ? layout.key_vectors() : steps_of<kCodec>(layout.head_dim);
  if (layout.key_parts() == 1 || (!scaled && !turned)) return {1, {all, 0}, turned};
  return {2, {narrow ? layout.key_part(0).vectors : steps_of<kCodec>(layout.turned), all}, turned};
}

// The keys of a page of the next span, as far as they are fetched while some dimensions of a page's values are weighed.
inline Fetch key_fetch(const AttentionTile& tile, int page_of_span, int part, int parts, int steps) {
  const int page = tile.fetch.keys_of * kSpanPages + page_of_span, at = page - tile.pages.first_page;
  if (tile.fetch.keys_of < 0 || at < 0 || at >= tile.pages.page_count) return {};
  const size_t bytes = tile.layout->key_head_bytes();
  return fetch_part(tile.pages.slice(page) + static_cast<size_t>(tile.kv_head) * bytes, bytes, part, parts, steps);
}

// Adds the products of steps [begin, end) of a chain, whose stored numbers lie at keys.
template <KvCodec kCodec, int kRows, int kPages>
[[gnu::always_inline]] inline void add_steps(const std::byte* const* keys, int begin, int end,
                                             const typename Stored<kCodec>::Factor*& queries, PageFetch (&fetch)[kPages],
                                             F32x16 (&acc)[kPages][kRows]) {
  using S = Stored<kCodec>;
  const int at_once = fetch[0].steps_at_once();
  for (int step = begin; step < end;) {
    const int stop = step + at_once < end ? step + at_once : end;
    for (int p = 0; p < kPages; ++p) fetch[p].run(stop - step);
    for (; step < stop; ++step, queries += kRows * S::kTogether) {
      decltype(S::load_terms(nullptr, 0)) terms[kPages];
      for (int p = 0; p < kPages; ++p) terms[p] = S::load_terms(keys[p], step);
      for (int r = 0; r < kRows; ++r) {
        const auto query = S::broadcast(queries + r * S::kTogether);
        for (int p = 0; p < kPages; ++p) acc[p][r] = S::add_products(terms[p], query, acc[p][r]);
      }
    }
  }
}

// Dot products of kRows queries with the 16 keys of each of kPages pages. Several pages where few rows would leave the
// multiply-add units waiting for each other.
//   queries  [step][row][kTogether]
template <KvCodec kCodec, bool kScaled, int kRows, int kPages>
void score_pages(const std::byte* const* keys, const std::byte* const* turned, const uint16_t* const* scales, const KeySteps& steps,
                 const typename Stored<kCodec>::Factor* queries, float scale, PageFetch (&fetch)[kPages], float* scores) {
  constexpr KvCodec kTurned = kCodec == KvCodec::bf16 ? KvCodec::bf16 : KvCodec::f32;
  F32x16 sum[kPages][kRows];
  if constexpr (kScaled) {
    for (int p = 0; p < kPages; ++p) {
      for (int r = 0; r < kRows; ++r) sum[p][r] = zeros();
    }
  }
  int step = 0;
  for (int part = 0; part < (kScaled ? steps.parts : 1); ++part) {
    F32x16 acc[kPages][kRows];
    for (int p = 0; p < kPages; ++p) {
      for (int r = 0; r < kRows; ++r) acc[p][r] = zeros();
    }
    if (part == 0 && steps.turned) {
      add_steps<kTurned, kRows, kPages>(turned, 0, steps.ends[0], queries, fetch, acc);
      step = steps.ends[0];
    }
    const int end = steps.ends[kScaled ? part : steps.parts - 1];
    add_steps<kCodec, kRows, kPages>(keys, step, end, queries, fetch, acc);
    step = end;
    for (int p = 0; p < kPages; ++p) {
      if constexpr (kScaled) {
        const F32x16 of_part = load_bf16(scales[p] + part * kPageTokens);
        for (int r = 0; r < kRows; ++r) sum[p][r] = fma(acc[p][r], of_part, sum[p][r]);
      } else {
        for (int r = 0; r < kRows; ++r) sum[p][r] = acc[p][r];
      }
    }
  }
#pragma GCC unroll 12
  for (int p = 0; p < kPages; ++p) {
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) store(scores + r * kSpanTokens + p * kPageTokens, mul(sum[p][r], set1(scale)));
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
  const int end = tile.end_seen(row) - first;
  const int stop = end < kSpanTokens ? end : kSpanTokens;
  return {begin, stop > begin ? stop : begin};
}

template <KvCodec kCodec, bool kScaled, int kRows>
void score_span(const AttentionTile& tile, const SpanPages& span, int begin_page, int end_page, const std::byte* arranged,
                float* scores) {
  constexpr int kTogether = kRows <= 2 ? 4 : kRows <= 6 || kManyRegisters ? 2 : 1;
  const auto* queries = reinterpret_cast<const typename Stored<kCodec>::Factor*>(arranged);
  const KeySteps steps = key_steps<kCodec>(*tile.layout, kScaled);
  const int all_steps = steps.ends[steps.parts - 1];
  const auto score = [&](auto pages, int page) {
    PageFetch fetch[pages];
    for (int p = 0; p < pages; ++p) {
      fetch[p] = PageFetch(tile, page + p, all_steps);
      if (tile.fetch.keys_ahead && page + p + kTogether < end_page) {
        fetch[p].keys = Fetch(span.keys[page + p + kTogether], tile.layout->key_head_bytes(), all_steps);
      }
    }
    score_pages<kCodec, kScaled, kRows, pages>(span.keys + page, span.turned + page, span.key_scales + page, steps, queries, tile.scale,
                                               fetch, scores + page * kPageTokens);
  };
  int page = begin_page;
  for (; page + kTogether <= end_page; page += kTogether) score(std::integral_constant<int, kTogether>{}, page);
  for (; page < end_page; ++page) score(std::integral_constant<int, 1>{}, page);
}

// Scores of one row -> weights, in place; as factors of the stored values, times their scales if there are any. Those outside
// `seen` become 0 in pages [begin_page, end_page).
template <KvCodec kCodec>
inline void softmax_row(Seen seen, int begin_page, int end_page, const uint16_t* const* scales, float* scores, float& largest,
                        float& weight) {
  using S = Stored<kCodec>;
  auto* weights = reinterpret_cast<typename S::Factor*>(scores);  // written where the scores have been read already
  if (seen.begin == seen.end) {
    for (int page = begin_page; page < end_page; ++page) S::store_factors(weights + page * kPageTokens, zeros());
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
    F32x16 p = S::weights(load(scores + page * kPageTokens), largest);
    auto* to = weights + page * kPageTokens;
    if (scales) S::store_factors(to, zero_where_below(mul(p, load_bf16(scales[page])), set1(kLeastFactor)));
    else p = S::store_factors(to, p);
    lane_sum = add(lane_sum, p);
  }
  weight = reduce_add(lane_sum);
}

constexpr int kFetchingRows = 6;  // with as many, arithmetic takes longer than memory, and several tiles fetch for each other

// Weighted sums of the values of positions [begin, end): kRows rows x kVectors vectors of dimensions from `dim` on.
//   weights  rows of kWeightRowBytes
template <KvCodec kCodec, int kRows, int kVectors>
void weigh_values(const AttentionTile& tile, const SpanPages& span, int begin, int end, int dim, const std::byte* weights,
                  float* sums) {
  using S = Stored<kCodec>;
  constexpr int kSteps = kPageTokens / S::kTogether;  // of a page
  const KvLayout& layout = *tile.layout;
  const int stride = layout.value_stride();
  const int row_vectors = is_narrow(layout.codec.values) ? layout.value_vectors() : stride / 16;
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
    const int page_end = (page + 1) * kSteps < end_step ? (page + 1) * kSteps : end_step;
    Fetch fetch;
    if (kRows < kFetchingRows) fetch = key_fetch(tile, page, dim / (16 * kVectors), stride / (16 * kVectors), kSteps);
    for (; step < page_end; ++step) {
      if (kRows < kFetchingRows) fetch.run(1);
      const int64_t vector = static_cast<int64_t>(step - page * kSteps) * row_vectors + dim / 16;
      decltype(S::load_terms(nullptr, 0)) value[kVectors];
      for (int v = 0; v < kVectors; ++v) value[v] = S::load_terms(span.values[page], vector + v);
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
void weigh_rows(const AttentionTile& tile, const SpanPages& span, int begin, int end, const std::byte* weights, float* sums) {
  const int stride = tile.layout->value_stride();
  int dim = 0;
  for (; dim + 64 <= stride; dim += 64) weigh_values<kCodec, kRows, 4>(tile, span, begin, end, dim, weights, sums);
  for (; dim < stride; dim += 16) weigh_values<kCodec, kRows, 1>(tile, span, begin, end, dim, weights, sums);
}

template <KvCodec kCodec>
void weigh_span(const AttentionTile& tile, const SpanPages& span, int begin, int end, const std::byte* weights, float* sums) {
  const int stride = tile.layout->value_stride();
  const auto rows_at = [&](auto rows, int row) {
    weigh_rows<kCodec, rows.value>(tile, span, begin, end, weights + static_cast<size_t>(row) * kWeightRowBytes,
                                   sums + row * stride);
  };
  int row = 0;
  for (; row + 6 <= tile.rows; row += 6) rows_at(std::integral_constant<int, 6>{}, row);  // as many sums as registers hold
  for (; row + 4 <= tile.rows; row += 4) rows_at(std::integral_constant<int, 4>{}, row);
  for (; row + 2 <= tile.rows; row += 2) rows_at(std::integral_constant<int, 2>{}, row);
  for (; row < tile.rows; ++row) rows_at(std::integral_constant<int, 1>{}, row);
}

template <KvCodec kCodec, bool kScaled>
void score_rows(const AttentionTile& tile, const SpanPages& span, int begin_page, int end_page, const std::byte* queries,
                float* scores) {
  switch (tile.rows) {
    case 1: return score_span<kCodec, kScaled, 1>(tile, span, begin_page, end_page, queries, scores);
    case 2: return score_span<kCodec, kScaled, 2>(tile, span, begin_page, end_page, queries, scores);
    case 3: return score_span<kCodec, kScaled, 3>(tile, span, begin_page, end_page, queries, scores);
    case 4: return score_span<kCodec, kScaled, 4>(tile, span, begin_page, end_page, queries, scores);
    case 5: return score_span<kCodec, kScaled, 5>(tile, span, begin_page, end_page, queries, scores);
    case 6: return score_span<kCodec, kScaled, 6>(tile, span, begin_page, end_page, queries, scores);
    case 7: return score_span<kCodec, kScaled, 7>(tile, span, begin_page, end_page, queries, scores);
    case 8: return score_span<kCodec, kScaled, 8>(tile, span, begin_page, end_page, queries, scores);
    case 9: return score_span<kCodec, kScaled, 9>(tile, span, begin_page, end_page, queries, scores);
    case 10: return score_span<kCodec, kScaled, 10>(tile, span, begin_page, end_page, queries, scores);
    case 11: return score_span<kCodec, kScaled, 11>(tile, span, begin_page, end_page, queries, scores);
    default: return score_span<kCodec, kScaled, 12>(tile, span, begin_page, end_page, queries, scores);
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

// As narrow keys lie: part by part, each rounded up to whole groups.
void arrange_narrow_queries(const AttentionTile& tile, std::byte* arranged) {
  using S = Stored<KvCodec::bf16>;
  auto* to = reinterpret_cast<typename S::Factor*>(arranged);
  for (int r = 0; r < tile.rows; ++r) {
    for (int i = 0; i < tile.layout->key_parts(); ++i) {
      const KeyPart part = tile.layout->key_part(i);
      alignas(64) float query[kMostNarrowDim];
      const int dims = part.end - part.begin;
      for (int d = 0; d < dims; ++d) query[d] = tile.queries[r][part.begin + d];
      if (is_scaled(tile.layout->codec.keys) && part.end > tile.layout->turned) turn(false, dims, query);
      for (int d = 0; d < 2 * part.vectors; ++d) {
        to[((part.first_vector + d / 2) * tile.rows + r) * 2 + d % 2] = pair_factor(d < dims ? query[d] : 0.0f);
      }
    }
  }
}

void arrange_queries(const AttentionTile& tile, std::byte* arranged) {
  if (is_narrow(tile.layout->codec.keys)) return arrange_narrow_queries(tile, arranged);
  if (tile.layout->codec.keys == KvCodec::bf16) return arrange_queries_of<KvCodec::bf16>(tile, arranged);
  return arrange_queries_of<KvCodec::f32>(tile, arranged);
}

void score_keys(const AttentionTile& tile, const SpanPages& span, int begin_page, int end_page, const std::byte* queries,
                float* scores) {
  switch (tile.layout->codec.keys) {
    case KvCodec::f32: return score_rows<KvCodec::f32, false>(tile, span, begin_page, end_page, queries, scores);
    case KvCodec::f16: return score_rows<KvCodec::f16, false>(tile, span, begin_page, end_page, queries, scores);
    case KvCodec::bf16:
    case KvCodec::fp8: return score_rows<KvCodec::bf16, false>(tile, span, begin_page, end_page, queries, scores);
    default: return score_rows<KvCodec::bf16, true>(tile, span, begin_page, end_page, queries, scores);
  }
}

// What the rows see of a span, all together.
struct SpanView {
  int number;
  int begin, end;            // positions
  int begin_page, end_page;  // counted from the span's first, as positions are
};

inline SpanView view_of(const AttentionTile& tile, int span) {
  int begin = kSpanTokens, end = 0;
  for (int r = 0; r < tile.rows; ++r) {
    const Seen seen = seen_by(tile, r, span);
    if (seen.begin == seen.end) continue;
    begin = seen.begin < begin ? seen.begin : begin;
    end = seen.end > end ? seen.end : end;
  }
  if (begin >= end) begin = end = 0;
  return {span, begin, end, begin / kPageTokens, (end + kPageTokens - 1) / kPageTokens};
}

#include "kernels/generic/values_in_key.inl"

// Scores -> weights as `kCodec` is multiplied by them.
template <KvCodec kCodec>
void softmax_rows(const AttentionTile& tile, const SpanView& view, const uint16_t* const* scales, float* scores,
                  const AttentionState& out) {
  for (int r = 0; r < tile.rows; ++r) {
    softmax_row<kCodec>(seen_by(tile, r, view.number), view.begin_page, view.end_page, scales, scores + r * kSpanTokens,
                        out.maxima[r], out.weights[r]);
  }
}

template <KvCodec kCodec>
void gather_values(const AttentionTile& tile, const SpanView& view, const SpanPages& span, float* scores,
                   const AttentionState& out) {
  const auto* scales = is_scaled(tile.layout->codec.values) ? span.value_scales : nullptr;
  softmax_rows<kCodec>(tile, view, scales, scores, out);
  weigh_span<kCodec>(tile, span, view.begin, view.end, reinterpret_cast<const std::byte*>(scores), out.sums);
  const int stride = tile.layout->value_stride();
  for (int r = 0; is_scaled(tile.layout->codec.values) && r < tile.rows; ++r) {  // codes behind the last dimension say nothing
    for (int d = tile.layout->value_dim(); d < stride; ++d) out.sums[r * stride + d] = 0;
  }
}

// weights [rows][kSpanTokens] times the scales of a part of the keys
inline void scale_weights(const AttentionTile& tile, const SpanView& view, const SpanPages& span, int part, const float* weights,
                          float* scaled) {
  for (int r = 0; r < tile.rows; ++r) {
    for (int page = view.begin_page; page < view.end_page; ++page) {
      const int at = r * kSpanTokens + page * kPageTokens;
      const F32x16 of_part = load_bf16(span.key_scales[page] + part * kPageTokens);
      store(scaled + at, zero_where_below(mul(load(weights + at), of_part), set1(kLeastFactor)));
    }
  }
}

// Values that are dimensions of the keys: weights meet them as floats, in every codec.
template <KvCodec kCodec>
void gather_keys(const AttentionTile& tile, const SpanView& view, const SpanPages& span, float* scores, const AttentionState& out) {
  const KvLayout& layout = *tile.layout;
  softmax_rows<KvCodec::f32>(tile, view, nullptr, scores, out);
  if (!is_narrow(layout.codec.keys)) {
    return weigh_keys<kCodec>(tile, span, view, {0, layout.value_dim(), 0, 0}, scores, out.sums);
  }
  float* scaled = scores + kTileRows * kSpanTokens;
  for (int part = 0; part < layout.value_parts(); ++part) {
    if (is_scaled(layout.codec.keys)) scale_weights(tile, view, span, part, scores, scaled);
    weigh_keys<kCodec>(tile, span, view, layout.key_part(part), is_scaled(layout.codec.keys) ? scaled : scores, out.sums);
  }
}

// Scores of the keys of a span that some row sees.
void score_seen(const AttentionTile& tile, const SpanView& view, const SpanPages& span, const std::byte* arranged, float* scores) {
  score_keys(tile, span, view.begin_page, view.end_page, arranged, scores);
  for (int r = 0; tile.softcap > 0 && r < tile.rows; ++r) {
    softcap(tile.softcap, (view.end_page - view.begin_page) * kPageTokens, scores + r * kSpanTokens + view.begin_page * kPageTokens);
  }
}

void attend_span(const AttentionTile& tile, const std::byte* arranged, int span_number, const AttentionState& out,
                 std::byte* scratch) {
  const SpanView view = view_of(tile, span_number);
  const SpanPages span = span_pages(tile, span_number * kSpanPages, view.begin_page, view.end_page);
  auto* scores = reinterpret_cast<float*>(scratch);
  score_seen(tile, view, span, arranged, scores);
  const bool own_values = tile.layout->own_values();
  switch (computed_as(own_values ? tile.layout->codec.values : tile.layout->codec.keys)) {
    case KvCodec::f32:
      return own_values ? gather_values<KvCodec::f32>(tile, view, span, scores, out) : gather_keys<KvCodec::f32>(tile, view, span, scores, out);
    case KvCodec::f16:
      return own_values ? gather_values<KvCodec::f16>(tile, view, span, scores, out) : gather_keys<KvCodec::f16>(tile, view, span, scores, out);
    default:
      return own_values ? gather_values<KvCodec::bf16>(tile, view, span, scores, out) : gather_keys<KvCodec::bf16>(tile, view, span, scores, out);
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

// A head's key or value, number by number: number i of the vector goes to place(i). Whole vectors of numbers are stored if `padded`.
template <KvCodec kCodec, typename Number, typename Place>
inline void store_numbers(const float* x, int n, bool padded, std::byte* base, Place place) {
  auto* to = reinterpret_cast<Number*>(base);
  for (int d = 0; d < n; d += 16) {
    const int count = n - d < 16 ? n - d : 16;
    alignas(64) Number numbers[16];
    store_stored<kCodec>(reinterpret_cast<std::byte*>(numbers), load_first(x + d, count));
    for (int i = 0; i < (padded ? 16 : count); ++i) to[place(d + i)] = numbers[i];
  }
}

void store_key(const KvLayout& layout, std::byte* slice, int head, int slot, const float* key) {
  std::byte* base = slice + static_cast<size_t>(head) * layout.key_head_bytes();
  const auto place = [&](int d) { return layout.key_at(d, slot); };
  switch (layout.codec.keys) {
    case KvCodec::f32: return store_numbers<KvCodec::f32, float>(key, layout.head_dim, false, base, place);
    case KvCodec::f16: return store_numbers<KvCodec::f16, uint16_t>(key, layout.head_dim, false, base, place);
    case KvCodec::bf16: return store_numbers<KvCodec::bf16, uint16_t>(key, layout.head_dim, false, base, place);
    default: return store_narrow_key(layout, slice, head, slot, key);
  }
}

void store_value(const KvLayout& layout, std::byte* slice, int head, int slot, const float* value) {
  std::byte* base = slice + layout.value_offset() + static_cast<size_t>(head) * layout.value_head_bytes();
  const auto place = [&](int d) { return layout.value_at(slot, d); };  // zeros behind the last dimension
  switch (layout.codec.values) {
    case KvCodec::f32: return store_numbers<KvCodec::f32, float>(value, layout.head_dim, true, base, place);
    case KvCodec::f16: return store_numbers<KvCodec::f16, uint16_t>(value, layout.head_dim, true, base, place);
    case KvCodec::bf16: return store_numbers<KvCodec::bf16, uint16_t>(value, layout.head_dim, true, base, place);
    default: return store_narrow_value(layout, slice, head, slot, value);
  }
}

void store_kv(const KvLayout& layout, std::byte* slice, int slot, const float* key, const float* value) {
  for (int head = 0; head < layout.kv_heads; ++head) {
    store_key(layout, slice, head, slot, key + head * layout.head_dim);
    if (layout.own_values()) store_value(layout, slice, head, slot, value + head * layout.head_dim);
  }
}

void turn_back(const KvLayout& layout, float* out) {
  if (!is_scaled(layout.own_values() ? layout.codec.values : layout.codec.keys)) return;
  if (layout.own_values()) return turn(true, layout.value_dim(), out);
  for (int i = 0; i < layout.value_parts(); ++i) {
    const KeyPart part = layout.key_part(i);
    turn(true, part.end - part.begin, out + part.begin);
  }
}
