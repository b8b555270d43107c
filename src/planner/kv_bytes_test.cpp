// Bytes of keys and values, as published configurations and their arithmetic say.
#include <gtest/gtest.h>

#include "fovea/error.h"
#include "fovea/plan.h"

namespace fovea {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int k32k = 32768, k128k = 131072;

Plan plan_of(const std::string& name, int context, const WhatIf& change = {}) {
  PlanOptions options;
  options.context_tokens = context;
  options.what_if = change;
  return Planner::open(name).plan(options);
}

int64_t window_bytes(const Plan& plan) {
  int64_t bytes = 0;
  for (const PlanGroup& group : plan.groups) {
    if (group.window) bytes += group.bytes;
  }
  return bytes;
}

int64_t growth_per_1k(const Plan& plan) {
  int64_t bytes = 0;
  for (const PlanGroup& group : plan.groups) {
    if (!group.window) bytes += 1024 * group.bytes_per_token;
  }
  return bytes;
}

TEST(KvBytes, OfTheTeachingExampleAreThePublishedOnes) {
  const Plan plan = plan_of("lesson-30", k128k);
  // 30 layers x 2 x 8 heads x 128 x 2 bytes = 122,880 bytes per token; 5 global layers keep 131,072 of them,
  // 25 keep 1,024.
  EXPECT_EQ(plan.kv_all_global_bytes, int64_t{122'880} * k128k);
  EXPECT_EQ(plan.kv_all_global_bytes, 15 * 1024 * kMiB);
  EXPECT_EQ(plan.kv_bytes, int64_t{4096} * (5 * k128k + 25 * 1024));
  EXPECT_EQ(plan.kv_bytes, 2660 * kMiB);
  EXPECT_NEAR(double(plan.kv_all_global_bytes) / double(plan.kv_bytes), 5.8, 0.05);
}

struct Row {
  const char* name;
  double fixed_mib, per_1k_mib, at_32k_mib, all_global_32k_mib, at_128k_mib;
};

// Fixed: all windows full; growth of 1,024 tokens; then totals.
constexpr Row kRows[] = {{"gemma3-270m", 7.5, 3, 103.5, 576, 391.5},   {"gemma3-1b", 11, 4, 139, 832, 523},
                         {"gemma3-4b", 116, 20, 756, 4352, 2676},      {"gemma3-12b", 320, 64, 2368, 12288, 8512},
                         {"gemma3-27b", 416, 80, 2976, 15872, 10656},  {"gemma4-e2b", 6, 6, 198, 576, 774},
                         {"gemma4-e4b", 20, 16, 532, 1792, 2068},      {"gemma4-12b", 320, 16, 832, 10752, 2368},
                         {"gemma4-26b-a4b", 200, 20, 840, 7040, 2760}, {"gemma4-31b", 800, 80, 3360, 28160, 11040}};

TEST(KvBytes, OfHybridModelsAreThePublishedOnes) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const Plan plan = plan_of(row.name, k32k);
    EXPECT_EQ(double(window_bytes(plan)) / kMiB, row.fixed_mib);
    EXPECT_EQ(double(growth_per_1k(plan)) / kMiB, row.per_1k_mib);
    EXPECT_EQ(double(plan.kv_bytes) / kMiB, row.at_32k_mib);
    EXPECT_EQ(double(plan.kv_all_global_bytes) / kMiB, row.all_global_32k_mib);
    EXPECT_EQ(double(plan_of(row.name, k128k).kv_bytes) / kMiB, row.at_128k_mib);
  }
}

TEST(KvBytes, HalveTheirGrowthWhereKeysAndValuesAreOneStream) {
  const WhatIf once{.k_eq_v = true};
  EXPECT_EQ(plan_of("gemma4-12b", k128k, once).kv_bytes, 1344 * kMiB);
  EXPECT_EQ(plan_of("gemma4-31b", k128k, once).kv_bytes, 5920 * kMiB);
}

TEST(KvBytes, OfOtherKindsFollowTheirArithmetic) {
  EXPECT_EQ(plan_of("llama3-8b", k128k).kv_bytes, int64_t{32} * 2 * 8 * 128 * 2 * k128k);
  EXPECT_EQ(plan_of("mistral-7b", k128k).kv_bytes, int64_t{32} * 2 * 8 * 128 * 2 * 4096);
  EXPECT_EQ(plan_of("deepseek-v3", k128k).kv_bytes, int64_t{61} * 576 * 2 * k128k);
  EXPECT_EQ(plan_of("gpt-oss-20b", k128k).kv_bytes, int64_t{2 * 8 * 64 * 2} * (12 * int64_t{k128k} + 12 * 128));
  // 4 attention layers; 28 states of 8,192 x (3 convolution inputs + 16) in f32.
  EXPECT_EQ(plan_of("jamba-mini", k128k).kv_bytes, int64_t{4} * 2 * 8 * 128 * 2 * k128k + int64_t{28} * 8192 * 19 * 4);
}

TEST(KvBytes, WithoutLocalLayersAreTheAllGlobalOnes) {
  for (const char* name : {"gemma3-4b", "lesson-30", "gemma2-9b"}) {
    const Plan plan = plan_of(name, k32k, {.ratio = std::pair(0, 1)});
    EXPECT_EQ(plan.kv_bytes, plan_of(name, k32k).kv_all_global_bytes) << name;
    EXPECT_EQ(plan.kv_bytes, plan.kv_all_global_bytes) << name;
  }
}

TEST(KvBytes, FollowTheFactsThatAreReplaced) {
  const Plan plan = plan_of("lesson-30", k32k, {.ratio = std::pair(1, 1), .window = 4096, .kv_heads = 4});
  EXPECT_EQ(plan.kv_bytes, int64_t{15 * 2 * 4 * 128 * 2} * (k32k + 4096));
  const Plan shared = plan_of("lesson-30", k32k, {.shared_kv_layers = 15});
  EXPECT_EQ(shared.kv_bytes, int64_t{4096} * (2 * k32k + 13 * 1024));
  EXPECT_EQ(shared.layers[29].shares_with, 11);
  EXPECT_EQ(shared.layers[28].shares_with, 14);
  EXPECT_THROW(plan_of("lesson-30", k32k, {.kv_heads = 5}), Error);
  EXPECT_THROW(plan_of("lesson-30", k32k, {.shared_kv_layers = 30}), Error);
}

TEST(KvBytes, ScaleWithTheCodec) {
  PlanOptions options{.context_tokens = k32k, .kv_newest_tokens = 0};
  const Planner planner = Planner::open("gemma3-4b");
  const int64_t f16 = planner.plan(options).kv_bytes;
  for (const KvCodecFacts& codec : kv_codec_facts()) {
    options.kv_local = options.kv_global = codec.name;
    constexpr int64_t kHeadBits = 16 * 256;
    EXPECT_EQ(planner.plan(options).kv_bytes * kHeadBits, f16 * (256 * codec.bits + 8 * codec.vector_bytes)) << codec.name;
    EXPECT_EQ(planner.plan(options).groups[0].codec, codec.name);
  }
  options.kv_local = "f16";
  options.kv_global = "q9";
  EXPECT_THROW(planner.plan(options), Error);
}

TEST(KvBytes, OfTheNewestTokensBesideNarrowKeysDoNotGrowWithTheContext) {
  const Planner planner = Planner::open("gemma3-4b");
  for (const int context : {8192, k32k}) {
    PlanOptions options{.context_tokens = context, .sequences = 3, .kv_local = "int8", .kv_global = "tq4", .kv_newest_tokens = 0};
    const Plan without = planner.plan(options);
    options.kv_newest_tokens = EngineOptions::kUsualNewest;
    const Plan plan = planner.plan(options);
    ASSERT_EQ(plan.groups.size(), 3u);
    const PlanGroup& newest = plan.groups.back();
    EXPECT_EQ(newest.kind, "newest");
    EXPECT_EQ(newest.codec, "bf16");
    EXPECT_EQ(newest.window, 16);
    EXPECT_EQ(newest.layers, plan.groups[1].layers) << "of those with less than 8 bits";
    const auto layers = static_cast<int64_t>(newest.layers.size());
    EXPECT_EQ(newest.bytes, 3 * 16 * layers * int64_t{2 * 2 * 4 * 256});
    EXPECT_EQ(plan.kv_bytes - without.kv_bytes, newest.bytes);
    EXPECT_EQ(plan.layers[5].bytes_per_token, without.layers[5].bytes_per_token);
  }
}

TEST(KvBytes, CountAPrefixThatSequencesShareOnce) {
  PlanOptions options{.context_tokens = 8192, .sequences = 8, .shared_prefix_tokens = 4096};
  const Plan plan = Planner::open("lesson-30").plan(options);
  // Windows of 1,024 lie beyond the prefix: they are each sequence's own, and one run at its end is pinned.
  EXPECT_EQ(plan.kv_bytes, int64_t{4096} * (5 * (4096 + 8 * 4096) + 25 * 8 * 1024));
  // Whoever continues behind it reads the 1,023 positions before, which are 64 pages.
  EXPECT_EQ(plan.pinned_bytes, int64_t{4096} * 25 * 64 * 16);
  options.shared_prefix_tokens = 0;
  EXPECT_EQ(Planner::open("lesson-30").plan(options).kv_bytes, int64_t{8 * 4096} * (5 * 8192 + 25 * 1024));
}

TEST(KvBytes, OfFamousKindsOfAttentionAreOrdered) {
  const auto rows = Planner::open("llama3-8b").attention_kinds({.context_tokens = k128k});
  const auto bytes = [&](const std::string& name) {
    for (const AttentionKindRow& row : rows) {
      if (row.name == name) return row.plan.kv_bytes;
    }
    ADD_FAILURE() << name << " is missing";
    return int64_t{0};
  };
  EXPECT_EQ(bytes("MHA"), 4 * bytes("GQA"));
  EXPECT_EQ(bytes("GQA"), 8 * bytes("MQA"));
  EXPECT_EQ(bytes("MLA"), int64_t{32} * 576 * 2 * k128k);
  EXPECT_EQ(bytes("window"), int64_t{32} * 4096 * 1024);
  EXPECT_LT(bytes("hybrid"), bytes("GQA"));
  EXPECT_LT(bytes("hybrid, K=V"), bytes("hybrid"));
  EXPECT_LT(bytes("recurrent"), bytes("window"));
}

}  // namespace
}  // namespace fovea
