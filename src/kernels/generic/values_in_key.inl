// Weighted sums of values that are dimensions of the keys. Included by attention.inl.
//
// Keys lie across a page, so lane l of a sum gathers positions l, l + 16, .. of the span in ascending order, and the lanes are
// added at its end.
// One dimension of all positions of a page, or in bf16 two.
template <KvCodec kCodec>
constexpr int kDimensionsTogether = Stored<kCodec>::kTogether;

template <KvCodec kCodec>
inline void load_dimensions(const std::byte* keys, int vector, F32x16 (&value)[kDimensionsTogether<kCodec>]) {
  if constexpr (kCodec == KvCodec::bf16) {
    split_pairs(reinterpret_cast<const uint16_t*>(keys) + 32 * int64_t{vector}, value[0], value[1]);
  } else {
    value[0] = Stored<kCodec>::load_terms(keys, vector);
  }
}

// Of the dimensions of a part of the key.
template <KvCodec kCodec, int kRows>
void weigh_key_rows(const SpanPages& span, const SpanView& view, const KeyPart& part, int stride, const float* weights, float* sums) {
  constexpr int kDims = kDimensionsTogether<kCodec>;
  for (int d = part.begin; d < part.end; d += kDims) {
    F32x16 acc[kDims][kRows];
    for (int i = 0; i < kDims; ++i) {
      for (int r = 0; r < kRows; ++r) acc[i][r] = zeros();
    }
    for (int page = view.begin_page; page < view.end_page; ++page) {
      F32x16 value[kDims];
      load_dimensions<kCodec>(span.keys[page], part.first_vector + (d - part.begin) / kDims, value);
      for (int r = 0; r < kRows; ++r) {
        const F32x16 weight = load(weights + r * kSpanTokens + page * kPageTokens);
        for (int i = 0; i < kDims; ++i) acc[i][r] = fma(value[i], weight, acc[i][r]);
      }
    }
    for (int i = 0; i < kDims && d + i < part.end; ++i) {
      for (int r = 0; r < kRows; ++r) sums[r * stride + d + i] = reduce_add(acc[i][r]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int d = part.end; d < stride; ++d) sums[r * stride + d] = 0;
  }
}

template <KvCodec kCodec>
void weigh_keys(const AttentionTile& tile, const SpanPages& span, const SpanView& view, const KeyPart& part, const float* weights,
                float* sums) {
  const int stride = tile.layout->value_stride();
  int row = 0;
  for (; row + 4 <= tile.rows; row += 4) {
    weigh_key_rows<kCodec, 4>(span, view, part, stride, weights + row * kSpanTokens, sums + row * stride);
  }
  for (; row < tile.rows; ++row) {
    weigh_key_rows<kCodec, 1>(span, view, part, stride, weights + row * kSpanTokens, sums + row * stride);
  }
}
