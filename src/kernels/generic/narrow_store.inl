// Keys and values -> codes and scales of narrow codecs (kernels/narrow_codec.h). Included by attention.inl.

#include "kernels/generic/code_packing.inl"

inline uint16_t bf16_of(float x) {
  uint16_t numbers[16];
  store_bf16(numbers, set1(x));
  return numbers[0];
}

inline float rounded_to_bf16(float x) {
  float numbers[16];
  store(numbers, round_to_bf16(set1(x)));
  return numbers[0];
}

inline float largest_of(const float* x, int n) {
  F32x16 largest = zeros();
  for (int i = 0; i < n; i += 16) largest = max(largest, abs(load(x + i)));
  return reduce_max(largest);
}

// x of n numbers, zeros up to whole vectors -> codes of as many; returns the scale.
inline float whole_codes(const float* x, int n, uint8_t* codes) {
  const float largest = largest_of(x, n);
  const float scale = rounded_to_bf16(largest / 127.0f);
  const F32x16 inverse = set1(largest > kLeastStored ? 1.0f / scale : 0.0f), most = set1(127.0f);
  for (int i = 0; i < n; i += 16) {
    const F32x16 whole = mul(load(x + i), inverse);
    store_rounded(reinterpret_cast<int8_t*>(codes + i), min(most, max(negate(most), whole)));
  }
  return largest > kLeastStored ? scale : 0.0f;
}

template <int kLevels>
inline F32x16 code_of(const KvLevels& book, F32x16 x) {
  F32x16 code = zeros();
  for (size_t i = 0; i + 1 < kLevels; ++i) code = add(code, keep_where_not_below(set1(1.0f), x, set1(book.bounds[i])));
  return code;
}

// The scale: kernels/narrow_codec.h.
template <int kLevels>
inline float level_codes(const KvLevels& book, bool even, bool of_key, const float* x, int n, uint8_t* codes) {
  const float largest = largest_of(x, n);
  if (!(largest > kLeastStored)) {
    for (int i = 0; i < n; ++i) codes[i] = kLevels / 2;
    return 0;
  }
  const F32x16 to_one = set1(1.0f / largest);
  float unit = 1.0f / (static_cast<float>(kLevels / 2) - 0.5f);
  if (!even) {
    F32x16 squares = zeros();
    for (int i = 0; i < n; i += 16) {
      const F32x16 one = mul(load(x + i), to_one);
      squares = fma(one, one, squares);
    }
    unit = __builtin_sqrtf(reduce_add(squares) / static_cast<float>(n));
  }
  const F32x16 to_unit = set1(1.0f / unit);
  F32x16 products = zeros(), squares = zeros();  // of numbers and levels; of the numbers of a key, of the levels of a value
  for (int i = 0; i < n; i += 16) {
    const F32x16 wanted = mul(mul(load(x + i), to_one), to_unit);
    const F32x16 code = code_of<kLevels>(book, wanted);
    store_rounded(reinterpret_cast<int8_t*>(codes + i), code);
    const int inside = n - i < 16 ? n - i : 16;
    const F32x16 level = keep_lanes(pick(book.values.data(), code), 0, inside, 0);
    products = fma(wanted, level, products);
    squares = of_key ? fma(wanted, wanted, squares) : fma(level, level, squares);
  }
  const float product = reduce_add(products), square = reduce_add(squares);
  return largest * unit * (of_key ? square / product : product / square);
}

// Rotates x (zeros up to whole vectors; overwritten) and encodes it.
inline float encode_scaled(KvCodec codec, bool of_key, float* x, int n, uint8_t* codes) {
  for (int i = 0; i < n; i += 16) {
    store(x + i, min(set1(kLargestRotated), max(set1(-kLargestRotated), load(x + i))));  // in this order NaN stays NaN
  }
  turn(false, n, x);
  if (x[0] != x[0]) {  // rotation has brought it to all dimensions
    for (int i = 0; i < n; ++i) codes[i] = 0;
    return x[0];
  }
  switch (codec) {
    case KvCodec::int8: return whole_codes(x, n, codes);
    case KvCodec::int4: return level_codes<16>(kEven16, true, of_key, x, n, codes);
    case KvCodec::tq4: return level_codes<16>(kNormal16, false, of_key, x, n, codes);
    case KvCodec::tq3: return level_codes<8>(kNormal8, false, of_key, x, n, codes);
    default: return level_codes<4>(kNormal4, false, of_key, x, n, codes);
  }
}

// A vector of n numbers -> codes[n]; the scale, if the codec has one.
inline float encode(KvCodec codec, bool of_key, const float* vector, int n, uint8_t* codes) {
  if (codec == KvCodec::fp8) {
    for (int i = 0; i < n; ++i) codes[i] = fp8_from_float(vector[i]);
    return 1;
  }
  alignas(64) float x[kMostNarrowDim];
  for (int i = 0; i < n; ++i) x[i] = vector[i];
  for (int i = n; i % 16 != 0; ++i) x[i] = 0;
  return encode_scaled(codec, of_key, x, n, codes);
}

template <int kBits>
void put_key_codes(const uint8_t* codes, const KeyPart& part, int slot, std::byte* base) {
  for (int d = 0; d < part.end - part.begin; ++d) put_code<kBits, true>(base, part.first_vector + d / 2, 2 * slot + d % 2, codes[d]);
}

void store_narrow_key(const KvLayout& layout, std::byte* slice, int head, int slot, const float* key) {
  std::byte* base = slice + static_cast<size_t>(head) * layout.key_head_bytes();
  auto* scales = reinterpret_cast<uint16_t*>(slice + layout.key_scales_offset(head));
  for (int i = 0; i < layout.key_parts(); ++i) {
    const KeyPart part = layout.key_part(i);
    alignas(64) uint8_t codes[kMostNarrowDim];
    const float scale = encode(layout.codec.keys, true, key + part.begin, part.end - part.begin, codes);
    if (is_scaled(layout.codec.keys)) scales[i * kPageTokens + slot] = bf16_of(scale);
    switch (code_bits(layout.codec.keys)) {
      case 8: put_key_codes<8>(codes, part, slot, base); break;
      case 4: put_key_codes<4>(codes, part, slot, base); break;
      case 3: put_key_codes<3>(codes, part, slot, base); break;
      default: put_key_codes<2>(codes, part, slot, base); break;
    }
  }
}

template <int kBits>
void put_value_codes(const uint8_t* codes, int n, int first_vector, int parity, std::byte* base) {
  for (int d = 0; d < n; ++d) put_code<kBits, false>(base, first_vector + d / 16, 2 * (d % 16) + parity, codes[d]);
}

void store_narrow_value(const KvLayout& layout, std::byte* slice, int head, int slot, const float* value) {
  std::byte* base = slice + layout.value_offset() + static_cast<size_t>(head) * layout.value_head_bytes();
  auto* scales = reinterpret_cast<uint16_t*>(slice + layout.value_scales_offset(head));
  alignas(64) uint8_t codes[kMostNarrowDim];
  const float scale = encode(layout.codec.values, false, value, layout.head_dim, codes);
  if (is_scaled(layout.codec.values)) scales[slot] = bf16_of(scale);
  const int first_vector = slot / 2 * layout.value_vectors();
  switch (code_bits(layout.codec.values)) {
    case 8: return put_value_codes<8>(codes, layout.head_dim, first_vector, slot % 2, base);
    case 4: return put_value_codes<4>(codes, layout.head_dim, first_vector, slot % 2, base);
    case 3: return put_value_codes<3>(codes, layout.head_dim, first_vector, slot % 2, base);
    default: return put_value_codes<2>(codes, layout.head_dim, first_vector, slot % 2, base);
  }
}
