#include "kernels/scalar/narrow.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/half.h"
#include "kernels/narrow_codec.h"
#include "kernels/scalar/lanes.h"

namespace fovea::kernels::scalar {
namespace {

#include "kernels/generic/code_packing.inl"

struct Encoded {
  std::vector<uint8_t> codes;
  float scale = 1;
};

Encoded whole_codes(const std::vector<float>& x, float largest) {
  Encoded result = {std::vector<uint8_t>(x.size()), 0};
  if (!(largest > kLeastStored)) return result;
  result.scale = float_from_bf16(bf16_from_float(largest / 127.0f));
  const float inverse = 1.0f / result.scale;
  for (size_t i = 0; i < x.size(); ++i) {
    const float whole = std::nearbyint(std::min(127.0f, std::max(-127.0f, x[i] * inverse)));
    result.codes[i] = static_cast<uint8_t>(static_cast<int8_t>(whole));
  }
  return result;
}

int code_of(const KvLevels& book, float x) {
  int code = 0;
  for (int i = 0; i + 1 < book.levels; ++i) code += x >= book.bounds[static_cast<size_t>(i)];
  return code;
}

Encoded level_codes(KvCodec codec, bool of_key, const std::vector<float>& x, float largest) {
  const KvLevels& book = kv_levels(codec);
  Encoded result = {std::vector<uint8_t>(x.size(), static_cast<uint8_t>(book.levels / 2)), 0};
  if (!(largest > kLeastStored)) return result;
  const float to_one = 1.0f / largest;
  float unit = 1.0f / (static_cast<float>(book.levels / 2) - 0.5f);
  if (codec != KvCodec::int4) {
    float squares[kLanes] = {};
    for (size_t i = 0; i < x.size(); ++i) squares[i % kLanes] = std::fma(x[i] * to_one, x[i] * to_one, squares[i % kLanes]);
    unit = std::sqrt(reduce_lanes(squares) / static_cast<float>(x.size()));
  }
  const float to_unit = 1.0f / unit;
  float products[kLanes] = {}, squares[kLanes] = {};
  for (size_t i = 0; i < x.size(); ++i) {
    const float wanted = x[i] * to_one * to_unit;
    const int code = code_of(book, wanted);
    const float level = book.values[static_cast<size_t>(code)];
    result.codes[i] = static_cast<uint8_t>(code);
    products[i % kLanes] = std::fma(wanted, level, products[i % kLanes]);
    squares[i % kLanes] = of_key ? std::fma(wanted, wanted, squares[i % kLanes]) : std::fma(level, level, squares[i % kLanes]);
  }
  const float product = reduce_lanes(products), square = reduce_lanes(squares);
  result.scale = largest * unit * (of_key ? square / product : product / square);
  return result;
}

Encoded encode(KvCodec codec, bool of_key, const float* vector, int n) {
  std::vector<float> x(vector, vector + n);
  if (codec == KvCodec::fp8) {
    Encoded result = {std::vector<uint8_t>(x.size()), 1};
    std::transform(x.begin(), x.end(), result.codes.begin(), [](float number) { return fp8_from_float(number); });
    return result;
  }
  for (float& number : x) number = number > kLargestRotated ? kLargestRotated : number < -kLargestRotated ? -kLargestRotated : number;
  turn(false, n, x.data());
  if (std::isnan(x[0])) return {std::vector<uint8_t>(x.size()), std::numeric_limits<float>::quiet_NaN()};
  float largest = 0;
  for (const float number : x) largest = std::max(largest, std::fabs(number));
  return codec == KvCodec::int8 ? whole_codes(x, largest) : level_codes(codec, of_key, x, largest);
}

template <bool kKeys> void put(KvCodec codec, std::byte* base, int vector, int lane, unsigned code) {
  switch (code_bits(codec)) {
    case 8:
      return put_code<8, kKeys>(base, vector, lane, code);
    case 4:
      return put_code<4, kKeys>(base, vector, lane, code);
    case 3:
      return put_code<3, kKeys>(base, vector, lane, code);
    default:
      return put_code<2, kKeys>(base, vector, lane, code);
  }
}

float fp8_number(unsigned code) {
  const unsigned exponent = code >> 3 & 15u, mantissa = code & 7u;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                        : std::ldexp(static_cast<float>(8 + mantissa), static_cast<int>(exponent) - 10);
  return code & 0x80u ? -magnitude : magnitude;
}

template <bool kKeys> float number(KvCodec codec, const std::byte* base, int vector, int lane) {
  switch (code_bits(codec)) {
    case 8: {
      const unsigned code = code_at<8, kKeys>(base, vector, lane);
      return codec == KvCodec::fp8 ? fp8_number(code) : static_cast<float>(static_cast<int8_t>(code));
    }
    case 4:
      return kv_levels(codec).values[code_at<4, kKeys>(base, vector, lane)];
    case 3:
      return kv_levels(codec).values[code_at<3, kKeys>(base, vector, lane)];
    default:
      return kv_levels(codec).values[code_at<2, kKeys>(base, vector, lane)];
  }
}

uint16_t* scales_at(std::byte* slice, size_t offset) { return reinterpret_cast<uint16_t*>(slice + offset); }
float scale_at(const std::byte* slice, size_t offset, int index) {
  uint16_t scale;
  std::memcpy(&scale, slice + offset + 2 * index, 2);
  return float_from_bf16(scale);
}

}  // namespace

void turn(bool back, int n, float* x) {
  const RotationShape shape(n);
  const auto multiply_signs = [&] {
    for (int i = 0; i < n; ++i) x[i] *= shape.factor * kSigns[static_cast<size_t>(i)];
  };
  if (!back) multiply_signs();
  for (int distance = 1; distance < shape.width; distance *= 2) {
    for (int i = 0; i < n; ++i) {
      if (i & distance) continue;
      const float a = x[i], b = x[i + distance];
      x[i] = a + b;
      x[i + distance] = a - b;
    }
  }
  for (int i = 0; shape.blocks > 1 && i < shape.width; ++i) {
    float sum = x[i];
    for (int b = 1; b < shape.blocks; ++b) sum += x[b * shape.width + i];
    const float part = 2.0f / static_cast<float>(shape.blocks) * sum;
    for (int b = 0; b < shape.blocks; ++b) x[b * shape.width + i] -= part;
  }
  if (back) multiply_signs();
}

void store_narrow_key(const KvLayout& layout, std::byte* slice, int head, int slot, const float* key) {
  std::byte* base = slice + static_cast<size_t>(head) * layout.key_head_bytes();
  for (int i = 0; i < layout.key_parts(); ++i) {
    const KeyPart part = layout.key_part(i);
    const Encoded encoded = encode(layout.codec.keys, true, key + part.begin, part.end - part.begin);
    for (int d = 0; d < part.end - part.begin; ++d) {
      put<true>(layout.codec.keys, base, part.first_vector + d / 2, 2 * slot + d % 2, encoded.codes[static_cast<size_t>(d)]);
    }
    if (!is_scaled(layout.codec.keys)) continue;
    scales_at(slice, layout.key_scales_offset(head))[i * kPageTokens + slot] = bf16_from_float(encoded.scale);
  }
}

void store_narrow_value(const KvLayout& layout, std::byte* slice, int head, int slot, const float* value) {
  std::byte* base = slice + layout.value_offset() + static_cast<size_t>(head) * layout.value_head_bytes();
  const Encoded encoded = encode(layout.codec.values, false, value, layout.head_dim);
  for (int d = 0; d < layout.head_dim; ++d) {
    put<false>(layout.codec.values, base, slot / 2 * layout.value_vectors() + d / 16, 2 * (d % 16) + slot % 2,
               encoded.codes[static_cast<size_t>(d)]);
  }
  if (!is_scaled(layout.codec.values)) return;
  scales_at(slice, layout.value_scales_offset(head))[slot] = bf16_from_float(encoded.scale);
}

float narrow_key(const KvLayout& layout, const std::byte* slice, int head, int slot, int d) {
  const KeyPart part = layout.key_part(layout.key_parts() == 2 && d >= layout.key_part(0).end ? 1 : 0);
  const int within = d - part.begin;
  return number<true>(layout.codec.keys, slice + static_cast<size_t>(head) * layout.key_head_bytes(), part.first_vector + within / 2,
                      2 * slot + within % 2);
}

float narrow_value(const KvLayout& layout, const std::byte* slice, int head, int slot, int d) {
  const std::byte* base = slice + layout.value_offset() + static_cast<size_t>(head) * layout.value_head_bytes();
  return number<false>(layout.codec.values, base, slot / 2 * layout.value_vectors() + d / 16, 2 * (d % 16) + slot % 2);
}

float key_scale(const KvLayout& layout, const std::byte* slice, int head, int slot, int part) {
  return scale_at(slice, layout.key_scales_offset(head), part * kPageTokens + slot);
}

float value_scale(const KvLayout& layout, const std::byte* slice, int head, int slot) {
  return scale_at(slice, layout.value_scales_offset(head), slot);
}

}  // namespace fovea::kernels::scalar
