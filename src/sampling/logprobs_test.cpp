#include "sampling/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace fovea::sampling {
namespace {

TEST(Logprobs, AreThoseOfASoftmax) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 5);
  std::vector<float> logits(1000);
  for (float& logit : logits) logit = normal(random);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  const TokenLogprobs found = logprobs_of(logits, 17, 1000);
  EXPECT_NEAR(found.chosen, logits[17] - std::log(sum), 1e-5);
  double total = 0;
  for (size_t i = 0; i < found.top.size(); ++i) {
    total += std::exp(static_cast<double>(found.top[i].second));
    EXPECT_LE(found.top[i].second, found.top[i == 0 ? 0 : i - 1].second);
  }
  EXPECT_NEAR(total, 1, 1e-4);
}

TEST(Logprobs, EqualOnesStandInTheOrderOfTheirIds) {
  const std::vector<float> logits = {1, 3, 3, 2, 3};
  const TokenLogprobs found = logprobs_of(logits, 0, 4);
  ASSERT_EQ(found.top.size(), 4u);
  EXPECT_EQ(found.top[0].first, 1);
  EXPECT_EQ(found.top[1].first, 2);
  EXPECT_EQ(found.top[2].first, 4);
  EXPECT_EQ(found.top[3].first, 3);
}

TEST(Logprobs, AreFiniteNumbersWhateverTheLogits) {
  for (const std::vector<float>& logits : {std::vector<float>{0, -INFINITY, NAN}, {-INFINITY, -INFINITY, NAN}, {INFINITY, 0, NAN}}) {
    const TokenLogprobs found = logprobs_of(logits, 2, 9);
    EXPECT_EQ(found.top.size(), 3u);
    EXPECT_TRUE(std::isfinite(found.chosen));
    for (const auto& [token, logprob] : found.top) EXPECT_TRUE(std::isfinite(logprob)) << token;
  }
}

}  // namespace
}  // namespace fovea::sampling
