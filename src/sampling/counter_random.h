// Random numbers that are a function of (seed, index): nothing to store, nothing to skip, the same on any
// machine.
#pragma once

#include <cstdint>

namespace fovea::sampling {

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
inline uint64_t mix_bits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// Uniform in [0, 1) with 53 bits. Draw `index` of the stream `seed`.
inline double uniform_at(uint64_t seed, uint64_t index) {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
  // The seed is mixed first: otherwise seeds that differ by the stride would be the same stream, shifted.
  const uint64_t bits = mix_bits(mix_bits(seed + kGolden) + (index + 1) * kGolden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace fovea::sampling
