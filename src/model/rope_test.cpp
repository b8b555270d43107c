#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fovea/error.h"

namespace fovea::model {
namespace {

constexpr auto kHalf = Rope::Pairing::half;

void expect_frequency(const Rope& rope, size_t k, double expected) {
  EXPECT_NEAR(rope.frequencies.at(k) / expected, 1, 1e-12) << "k = " << k;
}

RopeScaling llama3(double factor) {
  return {.kind = RopeScaling::Kind::by_wavelength,
          .factor = factor,
          .low_freq_factor = 1,
          .high_freq_factor = 4,
          .original_context_tokens = 8192};
}

// The numbers below were computed from the formulas in another language.
TEST(Rope, FrequenciesFallFromOneByThePowerOfTheBase) {
  const Rope rope = make_rope(kHalf, 256, 1e6);
  ASSERT_EQ(rope.frequencies.size(), 128u);
  expect_frequency(rope, 0, 1);
  expect_frequency(rope, 1, 0.8976871324473142);
  expect_frequency(rope, 64, 0.001);
  expect_frequency(rope, 127, 1.1139738599948023e-06);
  EXPECT_EQ(rope.scale, 1);
}

TEST(Rope, LinearScalingDividesEveryFrequency) {
  const Rope rope = make_rope(kHalf, 256, 1e6, {.kind = RopeScaling::Kind::linear, .factor = 8});
  expect_frequency(rope, 0, 0.125);
  expect_frequency(rope, 1, 0.11221089155591428);
  expect_frequency(rope, 127, 1.3924673249935028e-07);
  EXPECT_EQ(rope.scale, 8);
}

TEST(Rope, Llama3ScalingKeepsShortWavesDividesLongOnesAndBlendsBetween) {
  const Rope rope = make_rope(kHalf, 64, 5e5, llama3(32));
  expect_frequency(rope, 0, 1);
  expect_frequency(rope, 8, 0.03760603093086393);
  expect_frequency(rope, 14, 0.003211445994752591);  // the last one kept
  expect_frequency(rope, 15, 0.0012905479282092638);
  expect_frequency(rope, 16, 0.0004295567965593682);
  expect_frequency(rope, 17, 9.70828780262767e-05);
  expect_frequency(rope, 18, 1.9461638184831125e-05);  // the first one divided
  expect_frequency(rope, 31, 9.41830672543491e-08);
}

TEST(Rope, Llama3ScalingOfWiderHeads) {
  const Rope rope = make_rope(kHalf, 128, 5e5, llama3(8));
  expect_frequency(rope, 28, 0.003211445994752591);
  expect_frequency(rope, 29, 0.002166570763503359);
  expect_frequency(rope, 34, 0.0001785078127679964);
  expect_frequency(rope, 35, 9.556212353964683e-05);
  expect_frequency(rope, 63, 3.068925988914511e-07);
}

TEST(RopeDivisors, DivideEachFrequencyByItsOwn) {
  Rope rope = make_rope(Rope::Pairing::adjacent, 4, 1e4);
  apply_divisors(rope, std::vector<float>{2.f, 1e30f}, "tensor");
  expect_frequency(rope, 0, 0.5);
  EXPECT_EQ(rope.frequencies[1], 0);  // 1e30 is how files write "does not turn"
}

TEST(RopeDivisors, OfAnotherCountAreRefused) {
  for (const size_t count : {0u, 1u, 3u, 4u}) {
    Rope rope = make_rope(kHalf, 4, 1e4);
    EXPECT_THROW(apply_divisors(rope, std::vector<float>(count, 1.f), "tensor"), Error) << count;
  }
}

TEST(RopeDivisors, ThatAreNotPositiveNumbersAreRefused) {
  for (const float bad : {0.f, -1.f, INFINITY, NAN}) {
    Rope rope = make_rope(kHalf, 4, 1e4);
    EXPECT_THROW(apply_divisors(rope, std::vector<float>{1.f, bad}, "tensor"), Error) << bad;
  }
}

}  // namespace
}  // namespace fovea::model
