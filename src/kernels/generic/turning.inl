// Dimensions of keys that are turned by their position as they are read (kernels/key_turning.h), written once over sixteen lanes.
// Included by attention.inl.

// Calls visit(k, cosines, sines) for each pair k: the angles of the sixteen keys from `position` on.
template <typename Visit>
inline void for_each_turned_pair(const KeyTurning& turning, int position, Visit visit) {
  const int stride = KeyTurning::stride(turning.pairs), near = position % KeyTurning::kNear;
  const int step = position / KeyTurning::kNear % KeyTurning::kSteps * stride;
  const int leap = position / (KeyTurning::kNear * KeyTurning::kSteps) * stride;
  for (int first = 0; first < turning.pairs; first += 16) {
    const F32x16 c = load(turning.step(false) + step + first), s = load(turning.step(true) + step + first);
    const F32x16 leap_c = load(turning.leap(false) + leap + first), leap_s = load(turning.leap(true) + leap + first);
    alignas(64) float cosines[16], sines[16];  // of the first key
    store(cosines, fma(negate(s), leap_s, mul(c, leap_c)));
    store(sines, fma(s, leap_c, mul(c, leap_s)));
    const int end = turning.pairs - first < 16 ? turning.pairs - first : 16;
    for (int i = 0; i < end; ++i) {
      const int at = (near / 16 * turning.pairs + first + i) * 16;
      const F32x16 near_c = load(turning.near(false) + at), near_s = load(turning.near(true) + at);
      const F32x16 far_c = set1(cosines[i]), far_s = set1(sines[i]);
      visit(first + i, fma(negate(near_s), far_s, mul(near_c, far_c)), fma(near_s, far_c, mul(near_c, far_s)));
    }
  }
}

// Turns stored dimensions 2k and 2k + 1.
inline void turn_pair(const KeyTurning& turning, int k, F32x16 cosines, F32x16 sines, F32x16& x, F32x16& y) {
  x = mul(x, set1(turning.weights[2 * k]));
  y = mul(y, set1(turning.weights[2 * k + 1]));
  const F32x16 before = x;
  x = fma(negate(y), sines, mul(x, cosines));
  y = fma(y, cosines, mul(before, sines));
}

template <typename Load, typename Store>
inline void turn_page(const KeyTurning& turning, int position, Load load_pair, Store store_pair) {
  for_each_turned_pair(turning, position, [&](int k, F32x16 cosines, F32x16 sines) {
    F32x16 x, y;
    load_pair(k, x, y);
    turn_pair(turning, k, cosines, sines, x, y);
    store_pair(k, x, y);
  });
}

// Hadamard at kStages distances from `distance` on, for sixteen vectors at once: number i of all of them at x + 16 * i.
template <int kStages>
inline void hadamard_together(int distance, int n, float* x) {
  constexpr int kNumbers = 1 << kStages;
  for (int block = 0; block < n; block += kNumbers * distance) {
    for (int i = block; i < block + distance; ++i) {
      F32x16 numbers[kNumbers];
      for (int j = 0; j < kNumbers; ++j) numbers[j] = load(x + 16 * (i + j * distance));
      for (int half = 1; half < kNumbers; half *= 2) {
        for (int j = 0; j < kNumbers; ++j) {
          if (j & half) continue;
          const F32x16 a = numbers[j], b = numbers[j + half];
          numbers[j] = add(a, b);
          numbers[j + half] = sub(a, b);
        }
      }
      for (int j = 0; j < kNumbers; ++j) store(x + 16 * (i + j * distance), numbers[j]);
    }
  }
}

// Undoes the rotation of a narrow codec, likewise.
inline void turn_back_together(int n, float* x) {
  const RotationShape shape(n);
  int distance = 1;
  for (; 8 * distance <= shape.width; distance *= 8) hadamard_together<3>(distance, n, x);
  for (; 2 * distance <= shape.width; distance *= 2) hadamard_together<1>(distance, n, x);
  const F32x16 share = set1(2.0f / static_cast<float>(shape.blocks));
  for (int i = 0; shape.blocks > 1 && i < shape.width; ++i) {
    F32x16 sum = load(x + 16 * i);
    for (int b = 1; b < shape.blocks; ++b) sum = add(sum, load(x + 16 * (b * shape.width + i)));
    const F32x16 part = mul(share, sum);
    for (int b = 0; b < shape.blocks; ++b) {
      float* to = x + 16 * (b * shape.width + i);
      store(to, sub(load(to), part));
    }
  }
  for (int i = 0; i < n; ++i) store(x + 16 * i, mul(load(x + 16 * i), set1(shape.factor * kSigns[static_cast<size_t>(i)])));
}

inline void turn_floats(const KeyTurning& turning, int position, const float* keys, float* to) {
  turn_page(
      turning, position, [&](int k, F32x16& x, F32x16& y) { x = load(keys + 32 * k), y = load(keys + 32 * k + 16); },
      [&](int k, F32x16 x, F32x16 y) { store(to + 32 * k, x), store(to + 32 * k + 16, y); });
}

inline void turn_f16(const KeyTurning& turning, int position, const uint16_t* keys, float* to) {
  turn_page(
      turning, position, [&](int k, F32x16& x, F32x16& y) { x = load_f16(keys + 32 * k), y = load_f16(keys + 32 * k + 16); },
      [&](int k, F32x16 x, F32x16 y) { store(to + 32 * k, x), store(to + 32 * k + 16, y); });
}

inline void turn_bf16(const KeyTurning& turning, int position, const uint16_t* keys, uint16_t* to) {
  turn_page(
      turning, position, [&](int k, F32x16& x, F32x16& y) { split_pairs(keys + 32 * k, x, y); },
      [&](int k, F32x16 x, F32x16 y) { store_pairs(to + 32 * k, x, y); });
}

// levels: of a rotated codec, unfolded
inline void turn_levels(const KeyTurning& turning, int position, const uint16_t* levels, uint16_t* to) {
  alignas(64) float numbers[kMostNarrowDim * kPageTokens];
  for (int k = 0; k < turning.pairs; ++k) {
    F32x16 x, y;
    split_pairs(levels + 32 * k, x, y);
    store(numbers + 32 * k, x);
    store(numbers + 32 * k + 16, y);
  }
  turn_back_together(2 * turning.pairs, numbers);
  turn_page(
      turning, position, [&](int k, F32x16& x, F32x16& y) { x = load(numbers + 32 * k), y = load(numbers + 32 * k + 16); },
      [&](int k, F32x16 x, F32x16 y) { store_pairs(to + 32 * k, x, y); });
}

void turn_keys_of_page(const KvLayout& layout, const KeyTurning& turning, const KvPages& pages, int kv_head, int page, std::byte* unfolded) {
  const std::byte* stored = pages.slice(page) + static_cast<size_t>(kv_head) * layout.key_head_bytes();
  std::byte* to = turned_keys(layout, unfolded, page % kSpanPages);
  const auto* halves = reinterpret_cast<const uint16_t*>(stored);
  const auto* levels = unfolded_keys(layout, unfolded, page % kSpanPages);
  auto* floats = reinterpret_cast<float*>(to);
  auto* pairs = reinterpret_cast<uint16_t*>(to);
  const int position = pages.position_of(page);
  switch (layout.codec.keys) {
    case KvCodec::f32: return turn_floats(turning, position, reinterpret_cast<const float*>(stored), floats);
    case KvCodec::f16: return turn_f16(turning, position, halves, floats);
    case KvCodec::bf16: return turn_bf16(turning, position, halves, pairs);
    case KvCodec::fp8: turn_bf16(turning, position, levels, pairs); break;
    default: turn_levels(turning, position, levels, pairs); break;
  }
  for (int v = turning.pairs; v < turned_vectors(layout); ++v) store_pairs(pairs + 32 * v, zeros(), zeros());
}
