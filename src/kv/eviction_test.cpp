#include "kv/eviction.h"

#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "fovea/error.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

EvictionOptions with(EvictionPolicy policy) {
  return {.policy = policy, .budget_tokens = 128, .sinks = 16, .recent_tokens = 32, .interval_tokens = 32};
}

const GroupSpec kWhole = {.layers = {0}, .layout = {KvCodec::f16, 1, 8}};
const GroupSpec kWindow = {.window = 64, .layers = {0}, .layout = {KvCodec::f16, 1, 8}};

std::vector<int> going(EvictionPolicy policy, std::span<const int64_t> attended) {
  return pages_to_forget(*forgetting(kWhole, with(policy)), attended);
}

void check(const EvictionOptions& options) { kv::check(options, std::vector<GroupSpec>{kWhole, kWindow}); }

TEST(Eviction, StreamingForgetsTheOldestBehindTheSinks) { EXPECT_EQ(going(EvictionPolicy::streaming, {}), (std::vector<int>{1, 2})); }

TEST(Eviction, ByAttentionTheLeastAttendedGoesButNeitherSinksNorTheNewest) {
  const std::vector<int64_t> attended = {0, 9, 3, 9, 2, 9, 0, 0};
  EXPECT_EQ(going(EvictionPolicy::heavy_hitters, attended), (std::vector<int>{2, 4}));
  EXPECT_EQ(going(EvictionPolicy::persistence, attended), (std::vector<int>{2, 4}));
}

TEST(Eviction, OfEqualsTheOldestGoes) {
  const std::vector<int64_t> attended(8, 5);
  EXPECT_EQ(going(EvictionPolicy::heavy_hitters, attended), (std::vector<int>{1, 2}));
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
  CacheOptions options = {.context_tokens = 1 << 24, .chunk_tokens = 512, .sequences = 1};
  const int windowed = pages_needed(kWindow, options);
  options.eviction = with(EvictionPolicy::streaming);
  EXPECT_EQ(pages_needed(kWhole, options), 8 + 1);
  EXPECT_EQ(pages_needed(kWindow, options), windowed);
  options.eviction = with(EvictionPolicy::heavy_hitters);
  EXPECT_EQ(pages_needed(kWhole, options), 8);
  options.context_tokens = 100;
  EXPECT_EQ(pages_needed(kWhole, options), 7) << "nothing is ever forgotten";
}

TEST(Eviction, WindowsForgetOnlyWithABudgetThatIsShorter) {
  EvictionOptions options = with(EvictionPolicy::streaming);
  EXPECT_FALSE(forgetting(kWindow, options)) << "not asked for";
  options.local_budget_tokens = 63;
  options.sinks = options.interval_tokens = 16;
  EXPECT_FALSE(forgetting(kWindow, options)) << "whole pages";
  EXPECT_THROW(check(options), Error) << "so windows of 64 tokens are not longer";
  options.local_budget_tokens = 48;
  ASSERT_TRUE(forgetting(kWindow, options));
  EXPECT_EQ(forgetting(kWindow, options)->budget, 3);
  EXPECT_EQ(forgetting(kWindow, options)->sinks, 1);
  EXPECT_EQ(forgetting(kWhole, options)->budget, 8);
  EXPECT_EQ(least_budget_tokens(std::vector<GroupSpec>{kWhole, kWindow}, options), 48);
  EXPECT_NO_THROW(check(options));
  EXPECT_THROW(kv::check(options, std::vector<GroupSpec>{kWhole}), Error) << "there is no window";
  const CacheOptions cache = {.context_tokens = 1000, .chunk_tokens = 512, .sequences = 1, .eviction = options};
  EXPECT_EQ(pages_needed(kWindow, cache), 3 + 1);
  options.policy = EvictionPolicy::heavy_hitters;
  EXPECT_EQ(forgetting(kWindow, options)->sinks, 0) << "a window leaves its first tokens behind";
  options.local_budget_tokens = 16;
  EXPECT_THROW(check(options), Error) << "nothing is left of it";
}

TEST(Eviction, KeysThatAreTurnedAsTheyAreReadNeedNoCopiesOfSinks) {
  GroupSpec turned = kWhole;
  turned.layout = {KvCodec::f16, 1, 8, 8, 4};
  const CacheOptions options = {.context_tokens = 1000, .chunk_tokens = 16, .sequences = 1, .eviction = with(EvictionPolicy::streaming)};
  EXPECT_EQ(pages_needed(kWhole, options), 8 + 1);
  EXPECT_EQ(pages_needed(turned, options), 8);
}

}  // namespace
}  // namespace fovea::kv
