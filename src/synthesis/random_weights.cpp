#include "synthesis/random_weights.h"

#include <array>
#include <cassert>
#include <cmath>
#include <cstring>

#include "base/half.h"

namespace fovea::synthesis {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
uint64_t mix_bits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void fill_random(uint64_t stream, uint64_t offset, std::span<std::byte> bytes) {
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t)) {
    const uint64_t word = mix_bits(stream + ((offset + i) / sizeof(uint64_t) + 1) * kGolden);
    std::memcpy(bytes.data() + i, &word, std::min(sizeof word, bytes.size() - i));
  }
}

// Quantized blocks are left as the random bytes that they are, but for their scales. Where values stand off
// centre (q4_0: -8..7), each block's sign is random, or the common part would grow from layer to layer; where
// a block has a minimum, it is put so that the mean is zero.
//
// unit_deviation: of the stored integers times their small scales, that is, of values with a scale of 1.
struct BlockRecipe {
  NumberFormat format;
  float unit_deviation;
  float centre;        // mean of the stored integers, of formats with a minimum
  int scale_at;        // byte of the f16 scale
  int minimum_at;      // byte of the f16 minimum; -1: none
  bool minimum_added;  // value = d q + m, and not d q - m
  int small_at;        // byte of the small scales that are to be set; -1: they are random, or there are none
};

// Deviations: of uniform integers, sqrt((n^2 - 1) / 12) for n of them, with mean square for those off centre;
// of 6-bit scales between 32 and 63 the root mean square is 48.39, of 4-bit scales 8.803, of signed 6
// bits 18.48, of int8 73.90.
using enum NumberFormat;
constexpr BlockRecipe kRecipes[] = {
    {q4_0, 4.637f, 0, 0, -1, false, -1},
    {q4_1, 4.610f, 7.5f, 0, 2, true, -1},
    {q5_0, 9.247f, 0, 0, -1, false, -1},
    {q5_1, 9.233f, 15.5f, 0, 2, true, -1},
    {q8_0, 73.90f, 0, 0, -1, false, -1},
    {q2_k, 8.803f * 1.118f, 1.5f, 80, 82, false, 0},
    {q3_k, 18.48f * 2.345f, 0, 108, -1, false, -1},
    {q4_k, 48.39f * 4.610f, 7.5f, 0, 2, false, 4},
    {q5_k, 48.39f * 9.233f, 15.5f, 0, 2, false, 4},
    {q6_k, 73.90f * 18.48f, 0, 208, -1, false, -1},
    {iq4_nl, 67.44f, 0, 0, -1, false, -1},
    {iq4_xs, 18.48f * 67.44f, 0, 0, -1, false, -1},
};

const BlockRecipe& recipe_of(NumberFormat format) {
  for (const BlockRecipe& recipe : kRecipes) {
    if (recipe.format == format) return recipe;
  }
  assert(false && "every block format has a recipe");
  return kRecipes[0];
}

void store_half(uint16_t half, std::byte* at) { std::memcpy(at, &half, sizeof half); }

// Minima equal to the scales, so that one factor (the centre) puts the mean of every part at zero.
void pair_scales_with_minima(NumberFormat format, std::byte* small) {
  if (format == q2_k) {  // scale | minimum << 4
    for (int i = 0; i < 16; ++i) small[i] = (small[i] & std::byte{0x0f}) | (small[i] << 4);
    return;
  }
  // Eight scales of 6 bits, then eight minima: bytes 0-3 hold scales 0-3 and the high bits of 4-7, bytes 4-7
  // the same of the minima, bytes 8-11 the low nibbles of both 4-7. The high bit of each is set: 32..63.
  for (int i = 0; i < 4; ++i) {
    small[i] |= std::byte{0xa0};
    small[i + 4] = small[i];
    small[i + 8] = (small[i + 8] & std::byte{0x0f}) | (small[i + 8] << 4);
  }
}

void set_scales(const BlockRecipe& recipe, float deviation, std::span<std::byte> blocks) {
  constexpr uint16_t kSign = 0x8000;
  const uint16_t scale = f16_from_float(deviation / recipe.unit_deviation);
  uint16_t minimum = f16_from_float(recipe.centre * float_from_f16(scale));
  if (recipe.minimum_added) minimum ^= kSign;
  const size_t block_bytes = facts(recipe.format).block_bytes;
  for (std::byte* block = blocks.data(); block != blocks.data() + blocks.size(); block += block_bytes) {
    const bool negative = (block[recipe.scale_at] & std::byte{1}) != std::byte{0};
    const uint16_t sign = negative ? kSign : 0;
    store_half(scale ^ sign, block + recipe.scale_at);
    if (recipe.minimum_at >= 0) store_half(minimum ^ sign, block + recipe.minimum_at);
    if (recipe.small_at >= 0) pair_scales_with_minima(recipe.format, block + recipe.small_at);
  }
}

// Replaces random integers by numbers spread evenly around zero.
template <typename Integer, typename Stored, typename Convert>
void make_even(float deviation, std::span<std::byte> bytes, Convert convert) {
  static_assert(sizeof(Integer) == sizeof(Stored));
  const float half_range = static_cast<float>(uint64_t{1} << (8 * sizeof(Integer) - 1));
  const float step = deviation * std::sqrt(3.0f) / half_range;
  for (size_t i = 0; i < bytes.size(); i += sizeof(Stored)) {
    Integer random;
    std::memcpy(&random, bytes.data() + i, sizeof random);
    const Stored value = convert(static_cast<float>(random) * step);
    std::memcpy(bytes.data() + i, &value, sizeof value);
  }
}

}  // namespace

uint64_t stream_of(uint64_t seed, std::string_view tensor) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const char letter : tensor) hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001b3u;
  return mix_bits(mix_bits(seed + kGolden) ^ hash);
}

void fill_weights(NumberFormat format, float deviation, uint64_t stream, uint64_t offset, std::span<std::byte> bytes) {
  assert(offset % sizeof(uint64_t) == 0 && bytes.size() % facts(format).block_bytes == 0 && deviation > 0);
  fill_random(stream, offset, bytes);
  switch (format) {
    case f32:
      return make_even<int32_t, float>(deviation, bytes, [](float value) { return value; });
    case f16:
      return make_even<int16_t, uint16_t>(deviation, bytes, f16_from_float);
    case bf16:
      return make_even<int16_t, uint16_t>(deviation, bytes, bf16_from_float);
    default:
      return set_scales(recipe_of(format), deviation, bytes);
  }
}

void fill_norm(uint64_t stream, std::span<float> weights) {
  constexpr float kDeviation = 0.1f;
  fill_weights(NumberFormat::f32, kDeviation, stream, 0, std::as_writable_bytes(weights));
  for (float& weight : weights) weight += 1;
}

}  // namespace fovea::synthesis
