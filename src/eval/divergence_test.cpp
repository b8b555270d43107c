#include "eval/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace fovea::eval {
namespace {

std::vector<float> logits(size_t count, uint32_t seed, double spread) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> result(count);
  for (float& x : result) x = static_cast<float>(normal(random));
  return result;
}

double oracle(const std::vector<float>& p, const std::vector<float>& q) {
  long double p_sum = 0, q_sum = 0, kl = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    p_sum += std::exp(static_cast<long double>(p[i]));
    q_sum += std::exp(static_cast<long double>(q[i]));
  }
  for (size_t i = 0; i < p.size(); ++i) {
    const long double weight = std::exp(static_cast<long double>(p[i])) / p_sum;
    kl += weight * ((p[i] - std::log(p_sum)) - (q[i] - std::log(q_sum)));
  }
  return static_cast<double>(kl);
}

TEST(Divergence, AgreesWithTheDefinition) {
  for (const size_t count : {1u, 7u, 8u, 9u, 100u, 1001u}) {
    const auto p = logits(count, 1, 3), q = logits(count, 2, 3);
    EXPECT_NEAR(divergence(p, q).kl, oracle(p, q), 1e-10) << count;
    EXPECT_NEAR(divergence(p, p).kl, 0, 1e-12) << count;
    EXPECT_TRUE(divergence(p, p).same_top);
  }
}

TEST(Divergence, DoesNotCareForWhatIsAddedToAllLogits) {
  const auto p = logits(50, 3, 2);
  auto q = logits(50, 4, 2);
  const double before = divergence(p, q).kl;
  for (float& x : q) x += 1024;
  EXPECT_NEAR(divergence(p, q).kl, before, 1e-3);
}

TEST(Divergence, SeesAnotherMostLikelyTokenAndBrokenLogits) {
  EXPECT_FALSE(divergence(std::vector<float>{1, 2}, std::vector<float>{2, 1}).same_top);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(divergence(std::vector<float>{1, 2}, std::vector<float>{1, nan}).kl));
}

}  // namespace
}  // namespace fovea::eval
