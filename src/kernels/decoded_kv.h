// Keys and values read back from a page as kernels/kv_layout.h describes it, in double and in the basis they were given in: what tests
// hold the kernels to.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

#include "base/half.h"
#include "kernels/kv_layout.h"
#include "kernels/narrow_codec.h"
#include "kernels/plain_number.h"

namespace fovea::kernels {

// The matrix of the rotation, by its definition: rows of (reflection x Hadamard) times signs.
using Matrix = std::vector<std::vector<double>>;
inline Matrix rotation_matrix(int n) {
  const int width = n & -n, blocks = n / width;
  Matrix matrix(static_cast<size_t>(n), std::vector<double>(static_cast<size_t>(n)));
  for (int row = 0; row < n; ++row) {
    for (int column = 0; column < n; ++column) {
      const int parity = __builtin_popcount(static_cast<unsigned>(row % width & column % width)) % 2;
      const double hadamard = (parity ? -1 : 1) / std::sqrt(width);
      const double reflection = (row / width == column / width ? 1.0 : 0.0) - (blocks > 1 ? 2.0 / blocks : 0.0);
      matrix[static_cast<size_t>(row)][static_cast<size_t>(column)] = hadamard * reflection * kSigns[static_cast<size_t>(column)];
    }
  }
  return matrix;
}

inline std::vector<double> rotated_back(const std::vector<double>& y) {
  static std::map<size_t, Matrix> known;
  Matrix& matrix = known[y.size()];
  if (matrix.empty()) matrix = rotation_matrix(static_cast<int>(y.size()));
  std::vector<double> x(y.size());
  for (size_t row = 0; row < y.size(); ++row) {
    for (size_t column = 0; column < y.size(); ++column) x[column] += matrix[row][column] * y[row];
  }
  return x;
}

inline double bf16_at(const std::byte* base, size_t index) {
  uint16_t bits;
  std::memcpy(&bits, base + 2 * index, 2);
  return float_from_bf16(bits);
}

// e4m3 by its definition.
inline double fp8_value(unsigned code) {
  const int exponent = static_cast<int>(code >> 3 & 15u), mantissa = static_cast<int>(code & 7u);
  const double magnitude = exponent == 0 ? mantissa / 8.0 * std::exp2(-6) : (1 + mantissa / 8.0) * std::exp2(exponent - 7);
  return code & 0x80u ? -magnitude : magnitude;
}

inline double level(KvCodec codec, unsigned code) {
  if (codec == KvCodec::fp8) return fp8_value(code);
  if (codec == KvCodec::int8) return static_cast<int8_t>(code);
  return kv_levels(codec).values[code];
}

// A code by the picture of kv_layout.h.
inline unsigned narrow_code(KvCodec codec, bool of_key, const std::byte* base, int vector, int lane) {
  const int bits = code_bits(codec);
  const auto byte = [&](int index) { return static_cast<unsigned>(base[index]); };
  if (bits == 8) return byte(32 * vector + lane);
  const int group = vector / 4 * 16 * bits;
  unsigned word = 0;
  if (bits == 4) word = byte(group + 2 * lane) + 256 * byte(group + 2 * lane + 1);
  if (bits == 2) word = byte(group + lane);
  if (bits == 3) {
    const unsigned upper =
        of_key ? byte(group + 32 + lane / 2) >> (lane % 2 ? 4 : 0) : byte(group + 32 + lane % 16) >> (lane >= 16 ? 4 : 0);
    word = byte(group + lane) + 256 * (upper % 16);
  }
  return (word >> (bits * (vector % 4))) % (1u << bits);
}

inline std::vector<double> decoded_key(const KvLayout& layout, const std::byte* slice, int head, int slot) {
  const KvCodec codec = layout.codec.keys;
  const std::byte* base = slice + static_cast<size_t>(head) * layout.key_head_bytes();
  std::vector<double> key;
  if (!is_narrow(codec)) {
    for (int d = 0; d < layout.head_dim; ++d) key.push_back(load_number(codec, base, layout.key_at(d, slot)));
    return key;
  }
  for (int i = 0; i < layout.key_parts(); ++i) {
    const KeyPart part = layout.key_part(i);
    std::vector<double> numbers;
    for (int d = 0; d < part.end - part.begin; ++d) {
      numbers.push_back(level(codec, narrow_code(codec, true, base, part.first_vector + d / 2, 2 * slot + d % 2)));
    }
    if (is_scaled(codec)) {
      const double scale = bf16_at(slice + layout.key_scales_offset(head), static_cast<size_t>(i * kPageTokens + slot));
      for (double& number : numbers) number *= scale;
      numbers = rotated_back(numbers);
    }
    key.insert(key.end(), numbers.begin(), numbers.end());
  }
  return key;
}

inline std::vector<double> decoded_value(const KvLayout& layout, const std::byte* slice, int head, int slot) {
  const KvCodec codec = layout.codec.values;
  const std::byte* base = slice + layout.value_offset() + static_cast<size_t>(head) * layout.value_head_bytes();
  std::vector<double> value;
  for (int d = 0; d < layout.head_dim; ++d) {
    value.push_back(!is_narrow(codec) ? load_number(codec, base, layout.value_at(slot, d))
                                      : level(codec, narrow_code(codec, false, base, slot / 2 * layout.value_vectors() + d / 16,
                                                                 2 * (d % 16) + slot % 2)));
  }
  if (!is_scaled(codec)) return value;
  const double scale = bf16_at(slice + layout.value_scales_offset(head), static_cast<size_t>(slot));
  for (double& number : value) number *= scale;
  return rotated_back(value);
}

}  // namespace fovea::kernels
