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
#pragma once

#include <cstddef>
#include <cstdint>

#include "fovea/options.h"

namespace fovea::kernels {

inline constexpr int kPageTokens = 16;   // one 512-bit vector of floats
inline constexpr int kSpanTokens = 128;  // attention is summed over spans of keys aligned to absolute positions
static_assert(kSpanTokens % kPageTokens == 0);

// The functions of this header are forced inline: a copy compiled for a newer instruction set must never be the one
// that the linker keeps for everybody.
[[gnu::always_inline]] constexpr size_t bytes_per_value(KvCodec codec) { return codec == KvCodec::f32 ? 4 : 2; }

// Keys and values beyond what a codec holds are stored as its largest number: an infinity would reach rows that weigh it
// with 0.
inline constexpr float kLargestF16 = 65504.0f;
inline constexpr float kLargestBf16 = 3.3895313892515355e38f;

struct KvLayout {
  KvCodec codec = KvCodec::bf16;
  int kv_heads = 0;
  int head_dim = 0;       // of a key
  int values_in_key = 0;  // a value is the first so many dimensions of its key and is not stored again; 0: it has a place
                          // of its own, and as many dimensions as the key

  [[gnu::always_inline]] int value_dim() const { return values_in_key > 0 ? values_in_key : head_dim; }
  [[gnu::always_inline]] int value_stride() const { return (value_dim() + kPageTokens - 1) / kPageTokens * kPageTokens; }
  [[gnu::always_inline]] bool paired() const { return codec == KvCodec::bf16; }
  [[gnu::always_inline]] size_t key_head_bytes() const {
    const int dims = paired() ? (head_dim + 1) / 2 * 2 : head_dim;
    return bytes_per_value(codec) * static_cast<size_t>(dims) * kPageTokens;
  }
  // Which of the values of a head is dimension d of the position in a slot.
  [[gnu::always_inline]] int64_t key_at(int d, int slot) const {
    return paired() ? (static_cast<int64_t>(d / 2) * kPageTokens + slot) * 2 + d % 2
                    : static_cast<int64_t>(d) * kPageTokens + slot;
  }
  [[gnu::always_inline]] int64_t value_at(int slot, int d) const {
    return paired() ? (static_cast<int64_t>(slot / 2) * value_stride() + d) * 2 + slot % 2
                    : static_cast<int64_t>(slot) * value_stride() + d;
  }
  [[gnu::always_inline]] size_t value_head_bytes() const {
    return values_in_key > 0 ? 0 : bytes_per_value(codec) * static_cast<size_t>(value_stride()) * kPageTokens;
  }
  [[gnu::always_inline]] size_t value_offset() const { return static_cast<size_t>(kv_heads) * key_head_bytes(); }
  // Bytes of one layer in a page.
  [[gnu::always_inline]] size_t slice_bytes() const { return value_offset() + static_cast<size_t>(kv_heads) * value_head_bytes(); }
  // What one position needs, without padding.
  [[gnu::always_inline]] int64_t bytes_per_token() const {
    return static_cast<int64_t>(bytes_per_value(codec)) * (values_in_key > 0 ? 1 : 2) * kv_heads * head_dim;
  }
};

// The pages of one sequence and one group, by absolute page index (position / kPageTokens). Entries below first_page were
// given back. A view of a layer adds the layer's offset within the page. Owns nothing; dies with the step.
struct KvPages {
  std::byte* const* pages = nullptr;  // pages[i] holds page first_page + i
  int first_page = 0;
  int page_count = 0;
  size_t layer_offset = 0;  // bytes from a page's begin to this layer's slice
  int first_writable = 0;   // positions below are there already and stay as they are

  [[gnu::always_inline]] std::byte* slice(int page) const { return pages[page - first_page] + layer_offset; }
};

}  // namespace fovea::kernels
