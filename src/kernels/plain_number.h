// Numbers of keys and values that are stored as f32, f16 or bf16, one at a time. For code that is compiled for every processor: the
// vector kernels have their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/half.h"
#include "kernels/kv_layout.h"

namespace fovea::kernels {

inline float load_number(KvCodec codec, const std::byte* numbers, int64_t at) {
  if (codec == KvCodec::f32) {
    float number;
    std::memcpy(&number, numbers + 4 * at, 4);
    return number;
  }
  uint16_t half;
  std::memcpy(&half, numbers + 2 * at, 2);
  return codec == KvCodec::f16 ? float_from_f16(half) : float_from_bf16(half);
}

// What the codec cannot hold becomes its largest number.
inline void store_number(KvCodec codec, std::byte* numbers, int64_t at, float number) {
  if (codec == KvCodec::f32) {
    std::memcpy(numbers + 4 * at, &number, 4);
    return;
  }
  const float most = codec == KvCodec::f16 ? kLargestF16 : kLargestBf16;
  const float inside = number > most ? most : number < -most ? -most : number;
  const uint16_t half = codec == KvCodec::f16 ? f16_from_float(inside) : bf16_from_float(inside);
  std::memcpy(numbers + 2 * at, &half, 2);
}

}  // namespace fovea::kernels
