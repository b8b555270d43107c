#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "eval/log_softmax.h"
#include "eval/token_loss.h"
#include "eval/work_estimate.h"

namespace fovea::eval {
namespace {

double oracle(const std::vector<float>& logits, size_t token) {
  long double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<long double>(logit));
  return static_cast<double>(logits[token] - std::log(sum));
}

TEST(LogProbability, AgreesWithTheDefinition) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 8);
  for (const size_t vocabulary : {1u, 2u, 7u, 8u, 33u, 1000u}) {
    std::vector<float> logits(vocabulary);
    for (float& logit : logits) logit = normal(random);
    for (size_t token = 0; token < vocabulary; token += 5) {
      EXPECT_NEAR(log_probability(logits, static_cast<int32_t>(token)), oracle(logits, token), 1e-12);
    }
  }
}

TEST(LogProbability, DoesNotOverflow) {
  EXPECT_DOUBLE_EQ(log_probability(std::vector<float>{3e38f, 3e38f}, 0), -std::log(2.0));
  EXPECT_DOUBLE_EQ(log_probability(std::vector<float>{-3e38f, 0}, 1), 0);
}

TEST(LogProbability, OfBrokenLogitsIsNotANumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(log_probability(std::vector<float>{0, nan, 1}, 0)));
}

TEST(TokenLoss, OfAUniformGuessIsTheNumberOfChoices) {
  TokenLoss loss;
  for (int i = 0; i < 10; ++i) loss.add(std::log(50.0));
  EXPECT_NEAR(loss.perplexity(), 50, 1e-9);
  EXPECT_NEAR(loss.standard_error(), 0, 1e-5);
  EXPECT_EQ(loss.count(), 10);
}

// mean 2, variance 2/3 (of the population), error of the mean sqrt(2/3 / 2), times the perplexity
TEST(TokenLoss, ErrorFollowsFromTheSpread) {
  TokenLoss loss;
  for (const double value : {1.0, 2.0, 3.0}) loss.add(value);
  EXPECT_NEAR(loss.perplexity(), std::exp(2.0), 1e-12);
  EXPECT_NEAR(loss.standard_error(), std::exp(2.0) * std::sqrt(2.0 / 3 / 2), 1e-12);
}

// One local layer with a window of 4 and one global layer; 2 query heads of 8.
ModelFacts small_facts() {
  ModelFacts facts;
  facts.vocabulary = 10;
  facts.hidden = 3;
  LayerFacts local;
  local.window = 4;
  local.q_heads = 2;
  local.head_dim = 8;
  local.cache_bytes_per_token = 100;
  LayerFacts global = local;
  global.index = 1;
  global.window.reset();
  facts.layers = {local, global};
  return facts;
}

TEST(WorkEstimate, OneTokenReadsEverythingItSees) {
  const WorkEstimate estimate(small_facts(), {1000, 100, 60}, {});
  const Work first = estimate.step(0, 1, 1);
  EXPECT_EQ(first.bytes, 1000 + 100 + 100);
  EXPECT_EQ(first.macs, 100 + 30 + 2 * 2 * 8 * 2);
  const Work tenth = estimate.step(9, 1, 1);
  EXPECT_EQ(tenth.bytes, 1000 + 4 * 100 + 10 * 100);
  EXPECT_EQ(tenth.macs, 100 + 30 + 2 * 2 * 8 * (4 + 10));
}

TEST(WorkEstimate, AChunkReadsWeightsOnceAndTheUnionOfItsWindows) {
  const WorkEstimate estimate(small_facts(), {1000, 100, 60}, {});
  const Work chunk = estimate.step(6, 3, 3);  // positions 6, 7, 8: local keys 3..8, global keys 0..8
  EXPECT_EQ(chunk.bytes, 1000 + 6 * 100 + 9 * 100);
  EXPECT_EQ(chunk.macs, 3 * (100 + 30) + 2 * 2 * 8 * (3 * 4 + 7 + 8 + 9));
}

// The last layer that stores something, here the second of three, sees only rows whose logits are wanted.
TEST(WorkEstimate, RowsThatNobodyWantsEndWithTheirKeys) {
  ModelFacts facts = small_facts();
  facts.layers.push_back(facts.layers[1]);
  facts.layers[2].shares_with = 1;
  const WorkEstimate estimate(facts, {1000, 100, 60}, {});
  const Work none = estimate.step(6, 3, 0), one = estimate.step(6, 3, 1);
  EXPECT_EQ(none.bytes, 1000 + 6 * 100);
  EXPECT_EQ(none.macs, 3 * 60 + 2 * 2 * 8 * 3 * 4);
  EXPECT_EQ(one.bytes, 1000 + 6 * 100 + 2 * 9 * 100);
  EXPECT_EQ(one.macs, 2 * 60 + 100 + 30 + 2 * 2 * 8 * (3 * 4 + 2 * 9));
}

TEST(WorkEstimate, WiderCodecsReadMore) {
  EngineOptions options;
  options.kv_global = KvCodec::f32;
  const WorkEstimate estimate(small_facts(), {1000, 100, 60}, options);
  EXPECT_EQ(estimate.step(9, 1, 1).bytes, 1000 + 4 * 100 + 10 * 200);
}

}  // namespace
}  // namespace fovea::eval
