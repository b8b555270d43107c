#include "kv/eviction.h"

#include <gtest/gtest.h>

#include "fovea/error.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

EvictionOptions with(EvictionPolicy policy) {
  return {.policy = policy, .budget_tokens = 128, .sinks = 16, .recent_tokens = 32, .interval_tokens = 32};
}

TEST(Eviction, StreamingForgetsTheOldestBehindTheSinks) {
  EXPECT_EQ(pages_to_forget(with(EvictionPolicy::streaming), {}), (std::vector<int>{1, 2}));
}

TEST(Eviction, ByAttentionTheLeastAttendedGoesButNeitherSinksNorTheNewest) {
  const std::vector<int64_t> attended = {0, 9, 3, 9, 2, 9, 0, 0};
  EXPECT_EQ(pages_to_forget(with(EvictionPolicy::heavy_hitters), attended), (std::vector<int>{2, 4}));
  EXPECT_EQ(pages_to_forget(with(EvictionPolicy::persistence), attended), (std::vector<int>{2, 4}));
}

TEST(Eviction, OfEqualsTheOldestGoes) {
  const std::vector<int64_t> attended(8, 5);
  EXPECT_EQ(pages_to_forget(with(EvictionPolicy::heavy_hitters), attended), (std::vector<int>{1, 2}));
}

TEST(Eviction, RefusesPartsThatDoNotFitTheBudget) {
  EvictionOptions options = with(EvictionPolicy::heavy_hitters);
  EXPECT_NO_THROW(check(options));
  options.recent_tokens = 81;
  EXPECT_THROW(check(options), Error);
  options.policy = EvictionPolicy::streaming;
  EXPECT_NO_THROW(check(options)) << "streaming has no such part";
  for (int EvictionOptions::* part : {&EvictionOptions::budget_tokens, &EvictionOptions::sinks, &EvictionOptions::interval_tokens}) {
    EvictionOptions negative = with(EvictionPolicy::streaming);
    negative.*part = -1;
    EXPECT_THROW(check(negative), Error);
  }
  options.policy = EvictionPolicy::none;
  options.budget_tokens = -5;
  EXPECT_NO_THROW(check(options)) << "nothing is asked of it";
}

TEST(Eviction, HoldsTheBudgetAndSinksThatMoveTwice) {
  const GroupSpec whole = {.layers = {0}, .layout = {KvCodec::f16, 1, 8}};
  GroupSpec local = whole;
  local.window = 64;
  CacheOptions options = {.context_tokens = 1 << 24, .chunk_tokens = 512, .sequences = 1};
  const int windowed = pages_needed(local, options);
  options.eviction = with(EvictionPolicy::streaming);
  EXPECT_EQ(pages_needed(whole, options), 8 + 1);
  EXPECT_EQ(pages_needed(local, options), windowed);
  options.eviction = with(EvictionPolicy::heavy_hitters);
  EXPECT_EQ(pages_needed(whole, options), 8);
  options.context_tokens = 100;
  EXPECT_EQ(pages_needed(whole, options), 7) << "nothing is ever forgotten";
}

}  // namespace
}  // namespace fovea::kv
