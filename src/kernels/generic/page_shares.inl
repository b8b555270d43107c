// How much of a row's softmax falls on each page of a span. Included by <isa>/kernels.cpp after attention.inl.
//
// share = (sum of exp(score_j - max) over the page's keys) / weight: lane l is position l of the page, then the lanes are summed.

inline F32x16 scores_seen_of_page(Seen seen, int page, const float* scores) {
  const auto clamp = [](int x) { return x < 0 ? 0 : x > kPageTokens ? kPageTokens : x; };
  const int begin = clamp(seen.begin - page * kPageTokens), end = clamp(seen.end - page * kPageTokens);
  const F32x16 all = load(scores + page * kPageTokens);
  return begin == 0 && end == kPageTokens ? all : keep_lanes(all, begin, end, kMinusInfinity);
}

void page_shares(const AttentionTile& tile, const std::byte* arranged, int span_number, const AttentionState& whole, float* shares,
                 std::byte* scratch) {
  const SpanView view = view_of(tile, span_number);
  auto* scores = reinterpret_cast<float*>(scratch);
  score_seen(tile, view, span_pages(tile, span_number * kSpanPages, view.begin_page, view.end_page), arranged, scores);
  for (int r = 0; r < tile.rows; ++r, scores += kSpanTokens, shares += kSpanPages) {
    const Seen seen = seen_by(tile, r, span_number);
    for (int page = 0; page < kSpanPages; ++page) {
      shares[page] = 0;
      if (page * kPageTokens >= seen.end || (page + 1) * kPageTokens <= seen.begin) continue;
      const F32x16 weights = exp(sub(scores_seen_of_page(seen, page, scores), set1(whole.maxima[r])));
      shares[page] = reduce_add(weights) / whole.weights[r];
    }
  }
}
