// What happens between the matrix products, row by row. Included by <isa>/kernels.cpp inside its namespace.

inline F32x16 exp(F32x16 x) {
  const F32x16 inside = min(max(x, set1(kExpLowest)), set1(kExpHighest));
  const F32x16 n = round(mul(inside, set1(kLog2e)));
  F32x16 r = fma(n, set1(-kLn2High), inside);
  r = fma(n, set1(-kLn2Low), r);
  F32x16 p = set1(kExpTerms[0]);
  for (int i = 1; i < 6; ++i) p = fma(p, r, set1(kExpTerms[i]));
  p = fma(p, mul(r, r), add(r, set1(1.0f)));
  return keep_where_not_below(times_power_of_two(p, n), x, set1(kExpLowest));
}

// 2^x, about: exp_terms.h says how near. 0 below kRoughLowest.
inline F32x16 rough_power_of_two(F32x16 x) {
  const F32x16 n = round(x), f = sub(x, n);
  F32x16 p = set1(kRoughTerms[0]);
  for (int i = 1; i < 4; ++i) p = fma(p, f, set1(kRoughTerms[i]));
  return keep_where_not_below(times_power_of_two(p, n), x, set1(kRoughLowest));
}

// Calls whole(i) for each full vector and part(i, count) for the rest.
template <typename Whole, typename Part>
inline void for_lanes(int n, Whole whole, Part part) {
  int i = 0;
  for (; i + 16 <= n; i += 16) whole(i);
  if (i < n) part(i, n - i);
}

// 1 / sqrt(mean(x^2) + eps); lane l sums elements l, l + 16, ..., then the lanes are summed.
inline float inverse_rms(const float* x, int n, float eps) {
  F32x16 squares = zeros();
  for_lanes(
      n, [&](int i) { squares = fma(load(x + i), load(x + i), squares); },
      [&](int i, int count) { squares = fma(load_first(x + i, count), load_first(x + i, count), squares); });
  return 1.0f / __builtin_sqrtf(reduce_add(squares) / static_cast<float>(n) + eps);
}

void rms_norm(const float* x, const float* weight, int n, float eps, float* out) {
  const F32x16 inverse = set1(inverse_rms(x, n, eps));
  const F32x16 one = set1(1.0f);
  for_lanes(
      n, [&](int i) { store(out + i, mul(mul(load(x + i), inverse), weight ? load(weight + i) : one)); },
      [&](int i, int count) {
        const F32x16 w = weight ? load_first(weight + i, count) : one;
        store_first(out + i, count, mul(mul(load_first(x + i, count), inverse), w));
      });
}

void rms_norm_add(const float* x, const float* weight, int n, float eps, float* residual) {
  const F32x16 inverse = set1(inverse_rms(x, n, eps));
  for_lanes(
      n,
      [&](int i) { store(residual + i, fma(mul(load(x + i), inverse), load(weight + i), load(residual + i))); },
      [&](int i, int count) {
        const F32x16 normed = mul(load_first(x + i, count), inverse);
        store_first(residual + i, count, fma(normed, load_first(weight + i, count), load_first(residual + i, count)));
      });
}

void add(const float* x, int n, float* sum) {
  for_lanes(
      n, [&](int i) { store(sum + i, add(load(sum + i), load(x + i))); },
      [&](int i, int count) { store_first(sum + i, count, add(load_first(sum + i, count), load_first(x + i, count))); });
}

void scale(float factor, int n, float* x) {
  for_lanes(
      n, [&](int i) { store(x + i, mul(load(x + i), set1(factor))); },
      [&](int i, int count) { store_first(x + i, count, mul(load_first(x + i, count), set1(factor))); });
}

// 1 / (1 + exp(-x))
inline F32x16 sigmoid(F32x16 x) { return div(set1(1.0f), add(set1(1.0f), exp(negate(x)))); }

// tanh(x) = 2 sigmoid(2x) - 1
inline F32x16 tanh(F32x16 x) { return fma(set1(2.0f), sigmoid(add(x, x)), set1(-1.0f)); }

void softcap(float cap, int n, float* x) {
  const F32x16 limit = set1(cap), inverse = set1(1.0f / cap);
  for_lanes(
      n, [&](int i) { store(x + i, mul(limit, tanh(mul(load(x + i), inverse)))); },
      [&](int i, int count) { store_first(x + i, count, mul(limit, tanh(mul(load_first(x + i, count), inverse)))); });
}

inline F32x16 silu(F32x16 x) { return mul(x, sigmoid(x)); }

// 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3)
inline F32x16 gelu_tanh(F32x16 x) {
  const F32x16 u = mul(mul(x, set1(2.0f * 0.7978845608028654f)), fma(mul(x, x), set1(0.044715f), set1(1.0f)));
  return mul(x, sigmoid(u));
}

// The clamped form takes up's part too, so it stands apart from the others.
inline F32x16 silu_clamped(F32x16 g, F32x16 up) {
  const F32x16 limit = set1(kClampedLimit);
  const F32x16 z = min(limit, g), u = min(limit, max(set1(-kClampedLimit), up));
  return mul(mul(z, sigmoid(mul(set1(kClampedSlope), z))), add(u, set1(1.0f)));
}

template <typename Function>
inline void gate_with(Function activation, const float* gate, const float* up, int n, float* out) {
  for_lanes(
      n, [&](int i) { store(out + i, mul(activation(load(gate + i)), load(up + i))); },
      [&](int i, int count) {
        store_first(out + i, count, mul(activation(load_first(gate + i, count)), load_first(up + i, count)));
      });
}

void gate(Activation activation, const float* g, const float* up, int n, float* out) {
  if (activation == Activation::silu_clamped) {
    return for_lanes(
        n, [&](int i) { store(out + i, silu_clamped(load(g + i), load(up + i))); },
        [&](int i, int count) { store_first(out + i, count, silu_clamped(load_first(g + i, count), load_first(up + i, count))); });
  }
  if (activation == Activation::silu) return gate_with([](F32x16 x) { return silu(x); }, g, up, n, out);
  return gate_with([](F32x16 x) { return gelu_tanh(x); }, g, up, n, out);
}

inline void rotate_pair(float cosine, float sine, float& a, float& b) {
  const float x = a, y = b;
  a = __builtin_fmaf(-y, sine, x * cosine);
  b = __builtin_fmaf(y, cosine, x * sine);
}

void rotate(const float* cosines, const float* sines, int pairs, bool half, float* head) {
  if (!half) {
    for (int k = 0; k < pairs; ++k) rotate_pair(cosines[k], sines[k], head[2 * k], head[2 * k + 1]);
    return;
  }
  float* first = head;
  float* second = head + pairs;
  const auto turn = [](F32x16 a, F32x16 b, F32x16 c, F32x16 s, F32x16& out_a, F32x16& out_b) {
    out_a = fma(negate(b), s, mul(a, c));
    out_b = fma(b, c, mul(a, s));
  };
  for_lanes(
      pairs,
      [&](int k) {
        F32x16 a, b;
        turn(load(first + k), load(second + k), load(cosines + k), load(sines + k), a, b);
        store(first + k, a);
        store(second + k, b);
      },
      [&](int k, int count) {
        F32x16 a, b;
        turn(load_first(first + k, count), load_first(second + k, count), load_first(cosines + k, count),
             load_first(sines + k, count), a, b);
        store_first(first + k, count, a);
        store_first(second + k, count, b);
      });
}
