#include "kernels/stored_key.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"

namespace fovea::kernels {
namespace {

template <typename Number> Number number_at(const std::byte* numbers, int64_t at) {
  Number number;
  std::memcpy(&number, numbers + at * static_cast<int64_t>(sizeof number), sizeof number);
  return number;
}

template <typename Number> void put(std::byte* numbers, int64_t at, Number number) {
  std::memcpy(numbers + at * static_cast<int64_t>(sizeof number), &number, sizeof number);
}

float within(float most, float x) { return std::min(most, std::max(-most, x)); }

}  // namespace

void read_key(const KvLayout& layout, const std::byte* slice, int head, int slot, float* key) {
  const std::byte* keys = slice + static_cast<size_t>(head) * layout.key_head_bytes();
  for (int d = 0; d < layout.head_dim; ++d) {
    const int64_t at = layout.key_at(d, slot);
    switch (layout.codec.keys) {
      case KvCodec::f32: key[d] = number_at<float>(keys, at); break;
      case KvCodec::f16: key[d] = float_from_f16(number_at<uint16_t>(keys, at)); break;
      default: key[d] = float_from_bf16(number_at<uint16_t>(keys, at)); break;
    }
  }
}

void write_key(const KvLayout& layout, std::byte* slice, int head, int slot, const float* key) {
  std::byte* keys = slice + static_cast<size_t>(head) * layout.key_head_bytes();
  for (int d = 0; d < layout.head_dim; ++d) {
    const int64_t at = layout.key_at(d, slot);
    switch (layout.codec.keys) {
      case KvCodec::f32: put(keys, at, key[d]); break;
      case KvCodec::f16: put(keys, at, f16_from_float(within(kLargestF16, key[d]))); break;
      default: put(keys, at, bf16_from_float(within(kLargestBf16, key[d]))); break;
    }
  }
}

}  // namespace fovea::kernels
