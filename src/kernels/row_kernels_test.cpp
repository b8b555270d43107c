// What happens between the products: every instruction set gives the bits of the scalar specification, and
// that is close to the formulas in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/exp_terms.h"
#include "kernels/kernel_tests.h"

namespace fovea::kernels {
namespace {

constexpr int kWidths[] = {0, 1, 5, 15, 16, 17, 31, 32, 33, 640};

FOVEA_ON_EVERY_KERNEL_SET(RowKernels);

// run(set, x, weight, n) -> the numbers that it wrote
template <typename Run> void expect_scalar_bits(const KernelSet& set, Run run) {
  RandomNumbers random(11);
  for (const int n : kWidths) {
    for (const float size : {1e-20f, 1.0f, 1e10f}) {
      const std::vector<float> x = random.floats(static_cast<size_t>(n), size), w = random.floats(static_cast<size_t>(n));
      ASSERT_TRUE(same_bits(run(scalar_kernels(), x, w, n), run(set, x, w, n))) << n << " numbers of size " << size;
    }
  }
}

using Floats = std::vector<float>;

TEST_P(RowKernels, RmsNormGivesScalarBits) {
  expect_scalar_bits(set(), [](const KernelSet& k, const Floats& x, const Floats& w, int n) {
    Floats out(x.size());
    k.rms_norm(x.data(), w.data(), n, 1e-6f, out.data());
    return out;
  });
  expect_scalar_bits(set(), [](const KernelSet& k, Floats x, const Floats&, int n) {
    k.rms_norm(x.data(), nullptr, n, 1e-6f, x.data());  // no weight, in place
    return x;
  });
}

TEST_P(RowKernels, RmsNormAddGivesScalarBits) {
  expect_scalar_bits(set(), [](const KernelSet& k, const Floats& x, const Floats& w, int n) {
    Floats residual(x.rbegin(), x.rend());
    k.rms_norm_add(x.data(), w.data(), n, 1e-6f, residual.data());
    return residual;
  });
}

TEST_P(RowKernels, AddAndScaleGiveScalarBits) {
  expect_scalar_bits(set(), [](const KernelSet& k, const Floats& x, Floats w, int n) {
    k.add(x.data(), n, w.data());
    k.scale(25.298f, n, w.data());
    return w;
  });
}

TEST_P(RowKernels, SoftcapGivesScalarBits) {
  expect_scalar_bits(set(), [](const KernelSet& k, Floats x, const Floats&, int n) {
    k.softcap(30.0f, n, x.data());
    return x;
  });
}

TEST_P(RowKernels, GateGivesScalarBits) {
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh, Activation::silu_clamped}) {
    expect_scalar_bits(set(), [=](const KernelSet& k, const Floats& x, const Floats& w, int n) {
      Floats out(x.size());
      k.gate(activation, x.data(), w.data(), n, out.data());
      return out;
    });
  }
}

TEST_P(RowKernels, RotateGivesScalarBitsInBothPairings) {
  RandomNumbers random(12);
  for (const int pairs : {0, 1, 4, 5, 16, 17, 31, 64, 128}) {
    for (const bool half : {true, false}) {
      const Floats cosines = random.floats(static_cast<size_t>(pairs)), sines = random.floats(static_cast<size_t>(pairs));
      Floats head = random.floats(2 * static_cast<size_t>(pairs)), expected = head;
      scalar_kernels().rotate(cosines.data(), sines.data(), pairs, half, expected.data());
      set().rotate(cosines.data(), sines.data(), pairs, half, head.data());
      EXPECT_TRUE(same_bits(expected, head)) << pairs << " pairs, half " << half;
    }
  }
}

// exp of a number that is not positive, alone: merging a state of maximum 0 and weight 0 with one of maximum
// x, weight 1.
float exp_by(const KernelSet& set, float x) {
  std::vector<float> part_sums(16), sums(16);
  float part_max = x, part_weight = 1, largest = 0, weight = 0;
  set.merge(1, 16, {part_sums.data(), &part_max, &part_weight}, {sums.data(), &largest, &weight});
  return weight;
}

TEST_P(RowKernels, ExpIsWithinThePromisedErrorOfTheTrueOne) {
  double worst = 0;
  for (float x = kExpLowest; x < 0; x += 0.00037f) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::fabs(exp_by(set(), x) - exact) / exact);
  }
  RecordProperty("worst_relative_error", std::to_string(worst * 1e9) + "e-9");
  EXPECT_LT(worst, kExpError);
  EXPECT_EQ(exp_by(set(), 0.0f), 1.0f);
  EXPECT_EQ(exp_by(set(), std::nextafter(kExpLowest, -100.0f)), 0.0f);
  EXPECT_EQ(exp_by(set(), -std::numeric_limits<float>::infinity()), 0.0f);
}

TEST_P(RowKernels, ActivationsAreWhatTheirFormulasSay) {
  Floats x, ones;
  for (float v = -30; v < 30; v += 0.013f) x.push_back(v);
  ones.assign(x.size(), 1.0f);
  const int n = static_cast<int>(x.size());
  Floats silu(x.size()), gelu(x.size()), capped = x;
  set().gate(Activation::silu, x.data(), ones.data(), n, silu.data());
  set().gate(Activation::gelu_tanh, x.data(), ones.data(), n, gelu.data());
  set().softcap(5.0f, n, capped.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = x[i];
    EXPECT_NEAR(silu[i], v / (1 + std::exp(-v)), 1e-6 * std::fabs(v)) << v;
    const double u = std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v);
    EXPECT_NEAR(gelu[i], 0.5 * v * (1 + std::tanh(u)), 1e-6 * std::fabs(v)) << v;
    EXPECT_NEAR(capped[i], 5 * std::tanh(v / 5), 2e-6) << v;
  }
}

TEST_P(RowKernels, ActivationsOfHugeNumbersAreFinite) {
  const Floats x = {-3e38f, -1000, -89, 89, 1000, 3e38f};
  const Floats ones(6, 1.0f);
  Floats out(6);
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh}) {
    set().gate(activation, x.data(), ones.data(), 6, out.data());
    for (size_t i = 0; i < 6; ++i) {  // exp ends at kExpHighest, so what should vanish keeps about 1e-38 of its size
      EXPECT_NEAR(out[i], std::max(0.0f, x[i]), x[i] > 0 ? 1e-6 * x[i] : -1e-38 * x[i]) << x[i];
    }
  }
}

}  // namespace
}  // namespace fovea::kernels
