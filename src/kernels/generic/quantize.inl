// Activations as 8-bit integers. Included by <isa>/kernels.cpp inside its namespace, which has its own quantize_four.

// Finite numbers are there already; infinities and NaN become some number, so that the sums stay small.
inline F32x16 in_byte_range(F32x16 steps) { return min(max(steps, set1(-127.0f)), set1(127.0f)); }

inline void quantize_block(const float* values, bool biased, QuantBlock& block) {
  const F32x16 first = load(values), second = load(values + 16);
  const float largest = reduce_max(max(abs(first), abs(second)));
  block.scale = largest / 127.0f;
  const F32x16 inverse = set1(largest > kLeastBlockMaximum ? 127.0f / largest : 0.0f);
  const int32_t sum_first = reduce_add(store_rounded(block.q, in_byte_range(mul(first, inverse))));
  const int32_t sum_second = reduce_add(store_rounded(block.q + 16, in_byte_range(mul(second, inverse))));
  block.negative_sum_first = -sum_first;
  block.negative_sum = -(sum_first + sum_second);
  block.negative_scaled_sum = block.scale * static_cast<float>(block.negative_sum);
  if (!biased) return;
  for (int i = 0; i < kBlockInputs; ++i) block.q[i] = static_cast<int8_t>(block.q[i] ^ -128);
}

void quantize_tile(const float* x, int64_t stride, int rows, int inputs, bool biased, QuantBlock* tile) {
  const int blocks = rows * (inputs / kBlockInputs);
  int row = 0, input = 0;
  const auto next = [&] {
    const float* values = x + row * stride + input;
    if (++row == rows) row = 0, input += kBlockInputs;
    return values;
  };
  int i = 0;
  for (; i + 4 <= blocks; i += 4) {
    const float* const values[] = {next(), next(), next(), next()};
    quantize_four(values, biased, tile + i);
  }
  for (; i < blocks; ++i) quantize_block(next(), biased, tile[i]);
}
