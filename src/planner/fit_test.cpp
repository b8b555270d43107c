#include <gtest/gtest.h>

#include "fovea/error.h"
#include "fovea/plan.h"

namespace fovea {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

PlanOptions at(int context, int sequences = 1) {
  PlanOptions options;
  options.context_tokens = context;
  options.sequences = sequences;
  options.weights = "q4_k_m";
  options.threads = 2;
  return options;
}

TEST(Fit, TheLongestContextFitsAndTheNextPageDoesNot) {
  for (const char* name : {"gemma3-4b", "llama3-8b", "gemma4-12b", "deepseek-v3", "jamba-mini"}) {
    const Planner planner = Planner::open(name);
    const int64_t memory = planner.plan(at(20'000)).total_bytes;
    const int context = planner.longest_context(at(1), memory);
    EXPECT_LE(planner.plan(at(context)).total_bytes, memory) << name;
    EXPECT_GT(planner.plan(at(context + 16)).total_bytes, memory) << name;
    EXPECT_GE(context, 20'000) << name;
  }
}

TEST(Fit, TheMostSequencesFitAndOneMoreDoesNot) {
  const Planner planner = Planner::open("gemma3-4b");
  const int sequences = planner.most_sequences(at(32'768), 16 * kGiB);
  EXPECT_GT(sequences, 1);
  EXPECT_LE(planner.plan(at(32'768, sequences)).total_bytes, 16 * kGiB);
  EXPECT_GT(planner.plan(at(32'768, sequences + 1)).total_bytes, 16 * kGiB);
}

TEST(Fit, NothingFitsWhereWeightsDoNot) {
  const Planner planner = Planner::open("llama3-70b");
  EXPECT_EQ(planner.longest_context(at(1), 16 * kGiB), 0);
  EXPECT_EQ(planner.most_sequences(at(1), 16 * kGiB), 0);
}

TEST(Fit, EveryChangeThatIsOfferedFits) {
  for (const char* name : {"gemma3-4b", "llama3-8b", "lesson-30"}) {
    const Planner planner = Planner::open(name);
    for (const int sequences : {1, 8}) {
      PlanOptions options = at(131'072, sequences);
      options.kv_local = options.kv_global = "f32";
      const int64_t memory = planner.plan(options).total_bytes * 3 / 5;
      const auto changes = planner.changes_that_fit(options, memory);
      ASSERT_FALSE(changes.empty()) << name;
      for (const PlanChange& change : changes) {
        EXPECT_EQ(planner.plan(change.options).total_bytes, change.total_bytes) << change.setting;
        EXPECT_LE(change.total_bytes, memory) << change.setting;
        EXPECT_FALSE(change.cost.empty()) << change.setting;
      }
    }
  }
}

TEST(Fit, TheBestCodecsAreTheFirstThatFit) {
  const Planner planner = Planner::open("gemma3-4b");
  const PlanOptions wide = at(131'072);
  const int64_t all = planner.plan(wide).total_bytes;
  const auto best = [&](int64_t memory) { return planner.best_codecs(wide, memory); };
  EXPECT_EQ(best(all).kv_global, "bf16");
  int64_t before = all;
  for (int64_t memory = all - 1; memory > planner.plan(at(1)).total_bytes;) {
    const PlanOptions options = best(memory);
    const int64_t total = planner.plan(options).total_bytes;
    if (total > memory) {  // nothing fits: the narrowest there is
      EXPECT_EQ(options.kv_local, "tq3");
      EXPECT_EQ(options.kv_global, "tq3");
      break;
    }
    EXPECT_LT(total, before);
    before = total;
    memory = total - 1;
  }
  EXPECT_LT(before, all * 3 / 5);
}

TEST(Fit, NarrowKeysAreNeitherChosenNorOfferedWhereKeysMove) {
  const Planner planner = Planner::open("gemma3-4b");
  PlanOptions options = at(131'072);
  options.eviction.policy = EvictionPolicy::streaming;
  options.eviction.budget_tokens = 32'768;
  const int64_t short_of = planner.plan(options).total_bytes - (64 << 20);
  const PlanOptions best = planner.best_codecs(options, short_of);
  EXPECT_EQ(best.kv_local, "bf16");
  EXPECT_EQ(best.kv_global, "bf16");
  for (const PlanChange& change : planner.changes_that_fit(options, short_of)) {
    EXPECT_EQ(change.setting.find("--kv-"), std::string::npos) << change.setting;
  }
}

TEST(Fit, BudgetsOfWindowsCountOnlyWhereTheyAreShorter) {
  const Planner planner = Planner::open("gemma3-4b");
  PlanOptions options = at(131'072);
  options.eviction.policy = EvictionPolicy::streaming;
  const auto local_bytes = [&] { return planner.plan(options).groups.front().bytes; };
  ASSERT_EQ(planner.plan(options).groups.front().kind, "local");
  EXPECT_EQ(local_bytes(), int64_t{116} << 20);
  options.eviction.local_budget_tokens = 512;
  EXPECT_EQ(local_bytes(), int64_t{58} << 20);
  options.eviction.local_budget_tokens = 1024;
  EXPECT_THROW(planner.plan(options), Error);
}

TEST(Fit, WhatFitsNeedsNoChange) {
  const Planner planner = Planner::open("gemma3-270m");
  EXPECT_TRUE(planner.changes_that_fit(at(8192), 16 * kGiB).empty());
  EXPECT_NO_THROW(planner.require_fit(at(8192), 16 * kGiB));
}

TEST(Fit, WhatIsKeptForRequestsToComeIsOfferedFirst) {
  const Planner planner = Planner::open("gemma3-4b");
  PlanOptions options = at(32'768);
  options.cache_bytes = 64 * kGiB;
  const auto changes = planner.changes_that_fit(options, 16 * kGiB);
  ASSERT_FALSE(changes.empty());
  EXPECT_TRUE(changes.front().setting.starts_with("--cache ")) << changes.front().setting;
  EXPECT_LE(changes.front().total_bytes, 16 * kGiB);
  EXPECT_GT(changes.front().total_bytes, 16 * kGiB - (2 << 20));
  try {
    planner.require_fit(options, 16 * kGiB);
    FAIL() << "64 GiB fit into 16";
  } catch (const Error& error) {
    EXPECT_NE(error.problem().find("for requests to come, 64.0 GiB"), std::string::npos) << error.problem();
    EXPECT_NE(error.mend().find("--cache "), std::string::npos) << error.mend();
  }
}

TEST(Fit, ARefusalNamesThePartAndTwoSettingsThatFit) {
  const Planner planner = Planner::open("llama3-8b");
  PlanOptions options = at(131'072, 4);
  try {
    planner.require_fit(options, 24 * kGiB);
    FAIL() << "64 GiB of keys and values fit into 24";
  } catch (const Error& error) {
    EXPECT_NE(error.problem().find("keys and values of 32 global layers, 64.0 GiB"), std::string::npos) << error.problem();
    EXPECT_NE(error.problem().find("24.0 GiB are free"), std::string::npos) << error.problem();
    EXPECT_NE(error.mend().find("--kv-global tq4"), std::string::npos) << error.mend();
    EXPECT_NE(error.mend().find(", or --sequences 1"), std::string::npos) << error.mend();
  }
}

}  // namespace
}  // namespace fovea
