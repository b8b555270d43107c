// The plan is the allocation: what is planned from headers is what model and engine then take.
#include <gtest/gtest.h>

#include <filesystem>

#include "fovea/engine.h"
#include "fovea/error.h"
#include "fovea/plan.h"
#include "fovea/synthetic.h"
#include "kv/formula.h"
#include "support/drawn_model.h"
#include "support/oracle_case.h"
#include "support/temporary_folder.h"

namespace fovea {
namespace {

using namespace testing_support;

EngineOptions engine_options(int context, int sequences, KvCodecs codec) {
  EngineOptions options;
  options.context_tokens = context;
  options.sequences = sequences;
  options.chunk_tokens = 64;
  options.threads = 2;
  options.kv_local = options.kv_global = codec;
  options.cache_bytes = 0;  // nothing kept beside running requests
  return options;
}

int64_t planned_pages_bytes(const Plan& plan) {
  return plan.kv_bytes + plan.page_slack_bytes + plan.chunk_bytes;
}

void expect_plan_is_allocation(const std::string& path) {
  SCOPED_TRACE(path);
  const auto model = Model::load(path);
  for (const KvCodecs codec : {KvCodecs(KvCodec::f32), KvCodecs(KvCodec::f16), KvCodecs(KvCodec::int8), KvCodecs(KvCodec::int4, KvCodec::tq3)}) {
    for (const int context : {1, 7, 100, 1000, 5000}) {
      const Engine engine(model, engine_options(context, 1, codec));
      const Plan plan = engine.plan();
      const EngineStats stats = engine.stats();
      EXPECT_EQ(plan.weights_bytes, model->weights_bytes());
      EXPECT_EQ(plan.scratch_bytes, stats.scratch_bytes);
      EXPECT_EQ(planned_pages_bytes(plan), stats.kv_bytes) << "context " << context;
      ASSERT_EQ(plan.groups.size(), stats.kv.size());
      for (size_t i = 0; i < plan.groups.size(); ++i) {
        EXPECT_EQ(plan.groups[i].kind, stats.kv[i].kind);
        EXPECT_EQ(plan.groups[i].layers.size(), static_cast<size_t>(stats.kv[i].layers));
      }
    }
  }
  PlanOptions options{.context_tokens = 1000, .chunk_tokens = 64, .threads = 2};
  EXPECT_EQ(Planner::open(path).plan(options).total_bytes,
            Engine(model, engine_options(1000, 1, KvCodec::f16)).plan().total_bytes);
  int64_t read = 0;
  for (const PlanWeights& part : Planner::open(path).plan(options).weights) read += part.read_bytes;
  EXPECT_EQ(read, model->bytes_per_token());
}

TEST(Plan, OfAFolderIsWhatTheEngineTakes) {
  for (const auto& entry : std::filesystem::directory_iterator(kOracle)) {
    if (std::filesystem::exists(entry.path() / "config.json"))
      expect_plan_is_allocation(entry.path().string());
  }
}

// Windows, chunks, latent rows, states, values that are keys, layers that share.
TEST(Plan, OfEveryFamilyIsWhatTheEngineTakes) {
  for (const std::string& name : oracle_cases(kFamilies)) {
    SCOPED_TRACE(name);
    const DrawnModel drawn(name);
    const auto model = drawn.load();
    for (const KvCodecs codec : {KvCodecs(KvCodec::f32), KvCodecs(KvCodec::bf16), KvCodecs(KvCodec::fp8), KvCodecs(KvCodec::int8),
                                 KvCodecs(KvCodec::tq3), KvCodecs(KvCodec::int8, KvCodec::int4), KvCodecs(KvCodec::tq2, KvCodec::f16)}) {
      for (const int context : {1, 100, 1000}) {
        const Engine engine(model, engine_options(context, 1, codec));
        const Plan plan = engine.plan();
        EXPECT_EQ(planned_pages_bytes(plan), engine.stats().kv_bytes) << "context " << context;
        EXPECT_EQ(plan.scratch_bytes, engine.stats().scratch_bytes);
        PlanOptions options{.context_tokens = context, .chunk_tokens = 64, .threads = 2};
        options.kv_local = options.kv_global = name_of(codec);
        EXPECT_EQ(Planner::open(drawn.path()).plan(options).total_bytes, plan.total_bytes);
      }
    }
  }
}

// Eviction caps what layers that see everything hold; a static cache takes its pages at once.
TEST(Plan, OfAnEngineThatForgetsOrIsStaticIsWhatItTakes) {
  for (const std::string name : {"gemma4_a1", "llama4_a1", "deepseek_v2_a1", "jamba_a1"}) {
    SCOPED_TRACE(name);
    const DrawnModel drawn(name);
    const auto model = drawn.load();
    EngineOptions options = engine_options(1000, 1, KvCodec::bf16);
    const Plan whole = Engine(model, options).plan();
    options.static_cache = true;
    const Engine fixed(model, options);
    EXPECT_EQ(planned_pages_bytes(fixed.plan()), fixed.stats().kv_bytes);
    int64_t states = 0;  // are taken when a sequence begins
    for (const KvGroupStats& group : fixed.stats().kv) states += group.kind == "state" ? group.page_bytes * group.capacity_pages : 0;
    EXPECT_EQ(fixed.stats().kv_used_bytes + states, fixed.stats().kv_bytes);
    options.static_cache = false;
    for (const EvictionPolicy policy : {EvictionPolicy::streaming, EvictionPolicy::heavy_hitters}) {
      options.eviction = {.policy = policy, .budget_tokens = 128, .sinks = 16, .interval_tokens = 32};
      const Engine lossy(model, options);
      EXPECT_EQ(planned_pages_bytes(lossy.plan()), lossy.stats().kv_bytes);
      EXPECT_EQ(lossy.plan().scratch_bytes, lossy.stats().scratch_bytes);
      EXPECT_LT(lossy.plan().kv_bytes, whole.kv_bytes);
    }
  }
}

TEST(Plan, OfAQuantizedFileIsWhatTheEngineTakes) {
  const TemporaryFolder folder;
  for (const char* quant : {"q4_k_m", "q8_0", "f16"}) {
    const std::string path = folder / (std::string(quant) + ".gguf");
    write_synthetic_model({.like = "gemma3-270m", .quant = quant, .layers = 7, .vocabulary = 512}, path);
    expect_plan_is_allocation(path);
    std::filesystem::remove(path);
  }
}

TEST(Plan, OfABuiltInConfigurationIsThatOfAFileOfItsShape) {
  const TemporaryFolder folder;
  const std::string path = folder / "model.gguf";
  write_synthetic_model({.like = "gemma3-270m", .quant = "q4_k_m"}, path);
  PlanOptions options{.context_tokens = 32768, .threads = 2};
  const Plan file = Planner::open(path).plan(options);
  options.weights = "q4_k_m";
  const Plan built_in = Planner::open("gemma3-270m").plan(options);
  EXPECT_EQ(built_in.kv_bytes, file.kv_bytes);
  EXPECT_EQ(built_in.page_slack_bytes, file.page_slack_bytes);
  EXPECT_EQ(built_in.scratch_bytes, file.scratch_bytes);
  // Only the norms differ: configurations count four per layer.
  EXPECT_NEAR(static_cast<double>(built_in.weights_bytes), static_cast<double>(file.weights_bytes), 64 << 10);
  EXPECT_EQ(built_in.read_bytes, file.read_bytes);
}

TEST(Plan, OfABareConfigNeedsNoWeights) {
  const std::filesystem::path folder = kOracle / "gemma3";
  PlanOptions options{.context_tokens = 100, .threads = 2};
  options.weights = "f32";
  const Plan bare = Planner::open(folder / "config.json").plan(options);
  const Plan whole = Planner::open(folder.string()).plan(options);
  EXPECT_EQ(bare.kv_bytes, whole.kv_bytes);
  EXPECT_EQ(bare.scratch_bytes, whole.scratch_bytes);
  EXPECT_EQ(bare.read_bytes, whole.read_bytes);
}

TEST(Plan, AnEngineThatCannotFitIsRefusedBeforeAnythingIsReserved) {
  const auto model = Model::load((kOracle / "llama").string());
  EngineOptions options = engine_options(1 << 24, 4096, KvCodec::f32);
  try {
    const Engine engine(model, options);
    FAIL() << "petabytes were reserved";
  } catch (const Error& error) {
    EXPECT_NE(error.problem().find("keys and values of"), std::string::npos) << error.problem();
    EXPECT_NE(error.mend().find("these fit: "), std::string::npos) << error.mend();
  }
}

}  // namespace
}  // namespace fovea
