// Random inputs for the tests and benches of this room. Every buffer has exactly the size that the contract
// asks for, so that AddressSanitizer sees a read or write past its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "base/half.h"
#include "base/number_format.h"
#include "kernels/kernel_set.h"

namespace fovea::kernels {

class RandomNumbers {
 public:
  explicit RandomNumbers(uint32_t seed) : engine_(seed) {}

  int integer(int begin, int end) { return std::uniform_int_distribution<int>(begin, end - 1)(engine_); }

  std::vector<float> floats(size_t count, float spread = 1) {
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> numbers(count);
    for (float& x : numbers) x = normal(engine_);
    return numbers;
  }

  // Rows of weights as GGUF stores them: random bytes, except for scales of a sane size.
  std::vector<std::byte> weights(NumberFormat format, int outputs, int inputs) {
    const NumberFormatFacts& f = facts(format);
    const auto blocks = static_cast<size_t>(outputs) * static_cast<size_t>(inputs) / f.block_values;
    std::vector<std::byte> stored(blocks * f.block_bytes);
    if (format == NumberFormat::f32) {
      const std::vector<float> values = floats(blocks);
      std::memcpy(stored.data(), values.data(), stored.size());
      return stored;
    }
    for (std::byte& byte : stored) byte = static_cast<std::byte>(engine_());
    for (size_t b = 0; b < blocks; ++b) set_scales(format, stored.data() + b * f.block_bytes);
    return stored;
  }

 private:
  void set_half(std::byte* at) {
    const uint16_t half = f16_from_float(floats(1, 0.02f)[0]);
    std::memcpy(at, &half, 2);
  }

  void set_scales(NumberFormat format, std::byte* block) {
    switch (format) {
      case NumberFormat::f32:
        return;
      case NumberFormat::bf16: {
        const uint16_t half = bf16_from_float(floats(1)[0]);
        std::memcpy(block, &half, 2);
        return;
      }
      case NumberFormat::mxfp4:  // now and then one of the subnormal scales
        *block = static_cast<std::byte>(integer(0, 8) == 0 ? integer(0, 3) : integer(118, 126));
        return;
      case NumberFormat::q2_k:
        set_half(block + 82);
        return set_half(block + 80);
      case NumberFormat::q3_k:
        return set_half(block + 108);
      case NumberFormat::q6_k:
        return set_half(block + 208);
      case NumberFormat::q4_1:
      case NumberFormat::q5_1:
      case NumberFormat::q4_k:
      case NumberFormat::q5_k:
        set_half(block + 2);
        return set_half(block);
      default:
        return set_half(block);
    }
  }

  std::mt19937 engine_;
};

// The sets that this machine can run, best first; "scalar" is the last.
inline std::vector<const KernelSet*> supported_kernel_sets() {
  std::vector<const KernelSet*> sets;
  for (const KernelSet* set : all_kernel_sets()) {
    if (set->supported()) sets.push_back(set);
  }
  return sets;
}

inline const KernelSet& scalar_kernels() { return choose_kernels("scalar"); }

inline std::vector<NumberFormat> all_formats() {
  std::vector<NumberFormat> formats;
  for (int i = 0; i < kNumberFormats; ++i) formats.push_back(static_cast<NumberFormat>(i));
  return formats;
}

}  // namespace fovea::kernels
