// How keys and values of one layer lie in a page, and the views through which kernels read them.
//
// A page slice holds kPageTokens consecutive positions of one layer:
//   keys    [kv_heads][head_dim][kPageTokens]           one vector = one dimension of all the page's positions
//   values  [kv_heads][kPageTokens][value_stride]       one row = one position; rows padded to whole vectors
//           nothing, where values are dimensions of the key (KvLayout::values_in_key)
// Keys lie across so that a score needs no horizontal sum (lanes are positions); values lie along so that the weighted sum
// needs none either (lanes are dimensions).
//
// In bf16 what is summed lies in pairs, as processors with products of bf16 pairs read it: a vector is two dimensions of all
// positions, or two positions of sixteen dimensions.
//   keys    [kv_heads][head_dim / 2, rounded up][kPageTokens][2]
//   values  [kv_heads][kPageTokens / 2][value_stride][2]
//
// Narrow codecs keep the same vectors of 32 numbers, as codes of 8, 4, 3 or 2 bits. Below 8 bits four vectors lie in one another
// (a group): lane l of a group is one number of 4 x bits, lane l of the four vectors from the lowest bits up.
//   8 bits  [32 lanes] bytes, one vector               4 bits  [32 lanes] of 16 bits
//   2 bits  [32 lanes] bytes                           3 bits  [32 lanes] bytes (the lower 8 of 12 bits), [16] bytes of two lanes' upper 4
//           each: keys, lanes 2i and 2i + 1 (one position); values, lanes i and i + 16 (one position)
//   keys    [kv_heads][vectors of all parts, see KeyPart, each rounded up to whole groups]
//   values  [kv_heads][kPageTokens / 2][value_stride / 16, rounded up to whole groups]
// then the scales of scaled codecs, in bf16, so that one vector is one scale of all the page's positions:
//   keys    [kv_heads][parts][kPageTokens]
//   values  [kv_heads][kPageTokens]
#pragma once

#include <cstddef>
#include <cstdint>

#include "fovea/options.h"

namespace fovea::kernels {

inline constexpr int kPageTokens = 16;   // one 512-bit vector of floats
inline constexpr int kSpanTokens = 128;  // attention is summed over spans of keys aligned to absolute positions
static_assert(kSpanTokens % kPageTokens == 0);
inline constexpr int kSpanPages = kSpanTokens / kPageTokens;

// The functions of this header are forced inline: a copy compiled for a newer instruction set must never be the one
// that the linker keeps for everybody.
[[gnu::always_inline]] constexpr int code_bits(KvCodec codec) {
  switch (codec) {
    case KvCodec::f32:
      return 32;
    case KvCodec::f16:
    case KvCodec::bf16:
      return 16;
    case KvCodec::fp8:
    case KvCodec::int8:
      return 8;
    case KvCodec::int4:
    case KvCodec::tq4:
      return 4;
    case KvCodec::tq3:
      return 3;
    case KvCodec::tq2:
      return 2;
  }
  return 32;
}
[[gnu::always_inline]] constexpr bool is_narrow(KvCodec codec) { return code_bits(codec) <= 8; }
// Rotated, and stored as codes of one scale per key part or value (kernels/narrow_codec.h).
[[gnu::always_inline]] constexpr bool is_scaled(KvCodec codec) { return is_narrow(codec) && codec != KvCodec::fp8; }
// Multiplied in pairs of bf16.
[[gnu::always_inline]] constexpr bool is_paired(KvCodec codec) { return codec == KvCodec::bf16 || is_narrow(codec); }
// Vectors of 32 codes that lie in one another.
[[gnu::always_inline]] constexpr int group_vectors(KvCodec codec) { return code_bits(codec) < 8 ? 4 : 1; }

// Keys and values beyond what a codec holds are stored as its largest number: an infinity would reach rows that weigh it
// with 0. What is rotated is limited before, so that no sum of a head overflows.
inline constexpr float kLargestF16 = 65504.0f;
inline constexpr float kLargestBf16 = 3.3895313892515355e38f;
inline constexpr float kLargestFp8 = 448.0f;
inline constexpr float kLargestRotated = 0x1p112f;
inline constexpr int kMostNarrowDim = 1024;  // head_dim of a narrow codec at most

// Dimensions of a key that share a scale and are rotated together: all of them; but where a value is part of the key, or a part
// of the key is turned as it is read, this part and the other apart.
struct KeyPart {
  int begin, end;             // dimensions
  int first_vector, vectors;  // of pairs; the last may stand for no dimension
};

struct KvLayout {
  KvCodecs codec;
  int kv_heads = 0;
  int head_dim = 0;       // of a key
  int values_in_key = 0;  // a value is the first so many dimensions of its key and is not stored again; 0: it has a place
                          // of its own, and as many dimensions as the key
  int turned = 0;         // the first so many dimensions of a key, neighbours in pairs, are stored before rope and turned by their
                          // position as they are read (kernels/key_turning.h); values have them as they are stored. REQUIRES
                          // even, values_in_key == head_dim where there are any

  [[gnu::always_inline]] bool own_values() const { return values_in_key == 0; }
  [[gnu::always_inline]] int value_dim() const { return own_values() ? head_dim : values_in_key; }
  [[gnu::always_inline]] int value_stride() const { return round_up(value_dim(), kPageTokens); }

  // ---- f32, f16, bf16: which of the numbers of a head is dimension d of the position in a slot
  [[gnu::always_inline]] int64_t key_at(int d, int slot) const {
    return is_paired(codec.keys) ? (static_cast<int64_t>(d / 2) * kPageTokens + slot) * 2 + d % 2
                                 : static_cast<int64_t>(d) * kPageTokens + slot;
  }
  [[gnu::always_inline]] int64_t value_at(int slot, int d) const {
    return is_paired(codec.values) ? (static_cast<int64_t>(slot / 2) * value_stride() + d) * 2 + slot % 2
                                   : static_cast<int64_t>(slot) * value_stride() + d;
  }

  // ---- narrow codecs
  [[gnu::always_inline]] int key_parts() const { return key_border() > 0 && key_border() < head_dim ? 2 : 1; }
  // Of those, the first ones that hold a value too.
  [[gnu::always_inline]] int value_parts() const { return turned > 0 ? key_parts() : 1; }
  [[gnu::always_inline]] KeyPart key_part(int part) const {
    const int border = key_parts() == 2 ? key_border() : head_dim;
    const int before = part_vectors(border);
    return part == 0 ? KeyPart{0, border, 0, before} : KeyPart{border, head_dim, before, part_vectors(head_dim - border)};
  }
  [[gnu::always_inline]] int key_vectors() const {
    const KeyPart last = key_part(key_parts() - 1);
    return last.first_vector + last.vectors;
  }
  [[gnu::always_inline]] int value_vectors() const { return round_up(value_stride() / 16, group_vectors(codec.values)); }
  // From the begin of a slice to the scales of a head's keys (of the first part) and values.
  [[gnu::always_inline]] size_t key_scales_offset(int kv_head) const {
    return value_offset() + size_of(kv_heads) * value_head_bytes() + size_of(kv_head) * key_scale_bytes();
  }
  [[gnu::always_inline]] size_t value_scales_offset(int kv_head) const {
    return key_scales_offset(kv_heads) + size_of(kv_head) * value_scale_bytes();
  }

  // ---- sizes
  [[gnu::always_inline]] size_t key_head_bytes() const {
    if (is_narrow(codec.keys)) return size_of(key_vectors()) * vector_bytes(codec.keys);
    const int dims = is_paired(codec.keys) ? round_up(head_dim, 2) : head_dim;
    return size_of(code_bits(codec.keys) / 8) * size_of(dims) * kPageTokens;
  }
  [[gnu::always_inline]] size_t value_head_bytes() const {
    if (!own_values()) return 0;
    if (is_narrow(codec.values)) return size_of(kPageTokens / 2 * value_vectors()) * vector_bytes(codec.values);
    return size_of(code_bits(codec.values) / 8) * size_of(value_stride()) * kPageTokens;
  }
  [[gnu::always_inline]] size_t value_offset() const { return size_of(kv_heads) * key_head_bytes(); }
  // Bytes of one layer in a page.
  [[gnu::always_inline]] size_t slice_bytes() const { return value_scales_offset(kv_heads); }
  // What one position needs, without padding.
  [[gnu::always_inline]] int64_t bytes_per_token() const {
    const auto bytes = [&](KvCodec stored, int parts) {
      return (int64_t{head_dim} * code_bits(stored) + 7) / 8 + (is_scaled(stored) ? kScaleBytes * parts : 0);
    };
    return kv_heads * (bytes(codec.keys, key_parts()) + (own_values() ? bytes(codec.values, 1) : 0));
  }

 private:
  static constexpr int kScaleBytes = 2;

  [[gnu::always_inline]] int key_border() const { return turned > 0 ? turned : values_in_key; }
  [[gnu::always_inline]] static constexpr size_t size_of(int count) { return static_cast<size_t>(count); }
  [[gnu::always_inline]] static constexpr int round_up(int count, int to) { return (count + to - 1) / to * to; }
  [[gnu::always_inline]] static constexpr size_t vector_bytes(KvCodec narrow) { return size_of(4 * code_bits(narrow)); }
  [[gnu::always_inline]] int part_vectors(int dims) const { return round_up((dims + 1) / 2, group_vectors(codec.keys)); }
  [[gnu::always_inline]] size_t key_scale_bytes() const {
    return is_scaled(codec.keys) ? size_of(key_parts() * kPageTokens * kScaleBytes) : 0;
  }
  [[gnu::always_inline]] size_t value_scale_bytes() const {
    return own_values() && is_scaled(codec.values) ? size_of(kPageTokens * kScaleBytes) : 0;
  }
};

// Room for a span of one head, unfolded: keys and values of narrow codecs as bf16 pairs, without scales. In the order of the
// vectors they are stored in, page by page, keys first; what is not narrow has its place too, and nothing there. Dimensions of
// keys that are turned (KvLayout::turned) stand there turned: in place of values, which such a layout has none of, or alone.
constexpr size_t unfolded_span_bytes(int head_dim) {
  return static_cast<size_t>(kSpanTokens) * 2 * (static_cast<size_t>(head_dim) + 16 + static_cast<size_t>(head_dim) + 64);
}
[[gnu::always_inline]] inline uint16_t* unfolded_keys(const KvLayout& layout, std::byte* unfolded, int page_of_span) {
  return reinterpret_cast<uint16_t*>(unfolded) + static_cast<ptrdiff_t>(page_of_span) * layout.key_vectors() * 32;
}
[[gnu::always_inline]] inline uint16_t* unfolded_values(const KvLayout& layout, std::byte* unfolded, int page_of_span) {
  return unfolded_keys(layout, unfolded, kSpanPages) +
         static_cast<ptrdiff_t>(page_of_span) * (kPageTokens / 2) * layout.value_vectors() * 32;
}

// Turned dimensions of a page's keys: bf16 pairs where the codec of the keys is paired (narrow: without scales, zeros up to the end
// of the part), else floats.
[[gnu::always_inline]] inline int turned_vectors(const KvLayout& layout) {
  if (is_narrow(layout.codec.keys)) return layout.key_part(0).vectors;
  return is_paired(layout.codec.keys) ? layout.turned / 2 : layout.turned;
}
[[gnu::always_inline]] inline std::byte* turned_keys(const KvLayout& layout, std::byte* unfolded, int page_of_span) {
  std::byte* first = is_narrow(layout.codec.keys) ? reinterpret_cast<std::byte*>(unfolded_keys(layout, unfolded, kSpanPages)) : unfolded;
  return first + static_cast<ptrdiff_t>(page_of_span) * turned_vectors(layout) * 64;
}

// The pages of one sequence and one group, by absolute page index (position / kPageTokens). Entries below first_page were
// given back. A view of a layer adds the layer's offset within the page. Owns nothing; dies with the step.
struct KvPages {
  std::byte* const* pages = nullptr;  // pages[i] holds page first_page + i
  int first_page = 0;
  int page_count = 0;
  size_t layer_offset = 0;  // bytes from a page's begin to this layer's slice
  int first_writable = 0;   // positions below are there already and stay as they are
  // Where keys are turned as they are read: those of page i stand at positions i * kPageTokens + moved and up; or, if there are
  // any, at positions stand_at[i - first_page] and up. Whole pages.
  int moved = 0;
  const int32_t* stand_at = nullptr;

  [[gnu::always_inline]] std::byte* slice(int page) const { return pages[page - first_page] + layer_offset; }
  [[gnu::always_inline]] int position_of(int page) const { return stand_at ? stand_at[page - first_page] : page * kPageTokens + moved; }
};

}  // namespace fovea::kernels
