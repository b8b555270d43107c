// The rotation of narrow codecs (kernels/narrow_codec.h), written once over sixteen lanes. Included by attention.inl.

// Hadamard at distances below 16 within each vector, then between vectors of blocks of `width` >= 16 numbers.
inline void hadamard_vectors(int width, int n, float* x) {
  for (int i = 0; i < n; i += 16) {
    F32x16 a = load(x + i);
    a = add(swap_lanes<1>(a), negate_upper<1>(a));
    a = add(swap_lanes<2>(a), negate_upper<2>(a));
    a = add(swap_lanes<4>(a), negate_upper<4>(a));
    store(x + i, add(swap_lanes<8>(a), negate_upper<8>(a)));
  }
  for (int distance = 16; distance < width; distance *= 2) {
    for (int block = 0; block < n; block += 2 * distance) {
      for (int i = block; i < block + distance; i += 16) {
        const F32x16 a = load(x + i), b = load(x + i + distance);
        store(x + i, add(a, b));
        store(x + i + distance, sub(a, b));
      }
    }
  }
}

inline void hadamard_numbers(int width, int n, float* x) {
  for (int distance = 1; distance < width; distance *= 2) {
    for (int i = 0; i < n; ++i) {
      if (i & distance) continue;
      const float a = x[i], b = x[i + distance];
      x[i] = a + b;
      x[i + distance] = a - b;
    }
  }
}

inline void reflect_blocks(int width, int blocks, float* x) {
  const float share = 2.0f / static_cast<float>(blocks);
  for (int i = 0; i < width; ++i) {
    float sum = x[i];
    for (int b = 1; b < blocks; ++b) sum += x[b * width + i];
    const float part = share * sum;
    for (int b = 0; b < blocks; ++b) x[b * width + i] -= part;
  }
}

inline void multiply_signs(float factor, int n, float* x) {
  for (int i = 0; i < n; ++i) x[i] *= factor * kSigns[static_cast<size_t>(i)];
}

// x of n numbers, in place.
void turn(bool back, int n, float* x) {
  const RotationShape shape(n);
  if (!back) multiply_signs(shape.factor, n, x);
  if (shape.width >= 16) hadamard_vectors(shape.width, n, x);
  else hadamard_numbers(shape.width, n, x);
  if (shape.blocks > 1) reflect_blocks(shape.width, shape.blocks, x);
  if (back) multiply_signs(shape.factor, n, x);
}
