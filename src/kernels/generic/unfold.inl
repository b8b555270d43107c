// Codes of narrow codecs -> pairs of bf16, without scales. Included by attention.inl.

template <int kBits, bool kKeys>
inline void unfold_groups(const uint16_t* levels, const uint8_t* from, int vectors, uint16_t* to) {
  const LevelTable table = load_levels(levels);
  for (int v = 0; v < vectors; v += 4, from += 16 * kBits, to += 4 * 32) {
    const U16x32 group = load_group<kBits, kKeys>(from);
    store_words(to, levels_of<kBits, 0>(group, table));
    store_words(to + 32, levels_of<kBits, 1>(group, table));
    store_words(to + 64, levels_of<kBits, 2>(group, table));
    store_words(to + 96, levels_of<kBits, 3>(group, table));
  }
}

template <bool kKeys>
inline void unfold_vectors(KvCodec codec, const std::byte* codes, int vectors, uint16_t* to) {
  const auto* from = reinterpret_cast<const uint8_t*>(codes);
  switch (codec) {
    case KvCodec::fp8:
      for (int v = 0; v < vectors; ++v) store_words(to + 32 * v, fp8_numbers(from + 32 * v));
      return;
    case KvCodec::int8:
      for (int v = 0; v < vectors; ++v) store_words(to + 32 * v, whole_numbers(from + 32 * v));
      return;
    case KvCodec::int4:
    case KvCodec::tq4: return unfold_groups<4, kKeys>(kv_levels(codec).stored.data(), from, vectors, to);
    case KvCodec::tq3: return unfold_groups<3, kKeys>(kv_levels(codec).stored.data(), from, vectors, to);
    case KvCodec::tq2: return unfold_groups<2, kKeys>(kv_levels(codec).stored.data(), from, vectors, to);
    default: return;
  }
}

void unfold_pages(const KvLayout& layout, const KeyTurning* turning, const KvPages& pages, int kv_head, int begin_page, int end_page,
                  std::byte* unfolded) {
  for (int page = begin_page; page < end_page; ++page) {
    const std::byte* slice = pages.slice(page);
    if (is_narrow(layout.codec.keys)) {
      unfold_vectors<true>(layout.codec.keys, slice + static_cast<size_t>(kv_head) * layout.key_head_bytes(), layout.key_vectors(),
                           unfolded_keys(layout, unfolded, page % kSpanPages));
    }
    if (layout.turned > 0) turn_keys_of_page(layout, *turning, pages, kv_head, page, unfolded);
    if (layout.own_values() && is_narrow(layout.codec.values)) {
      unfold_vectors<false>(layout.codec.values,
                            slice + layout.value_offset() + static_cast<size_t>(kv_head) * layout.value_head_bytes(),
                            kPageTokens / 2 * layout.value_vectors(), unfolded_values(layout, unfolded, page % kSpanPages));
    }
  }
}
