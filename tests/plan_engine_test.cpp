// The plan is the allocation: what is planned from headers is what model and engine then take.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "fovea/engine.h"
#include "fovea/error.h"
#include "fovea/plan.h"
#include "fovea/synthetic.h"
#include "kv/formula.h"
#include "support/drawn_model.h"
#include "support/oracle_case.h"
#include "support/own_process.h"
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

int64_t planned_pages_bytes(const Plan& plan) { return plan.kv_bytes + plan.page_slack_bytes + plan.chunk_bytes; }

void expect_plan_is_allocation(const std::string& path) {
  SCOPED_TRACE(path);
  const auto model = Model::load(path);
  for (const KvCodecs codec :
       {KvCodecs(KvCodec::f32), KvCodecs(KvCodec::f16), KvCodecs(KvCodec::int8), KvCodecs(KvCodec::int4, KvCodec::tq3)}) {
    for (const int context : kSanitized ? std::vector{7, 1000} : std::vector{1, 7, 100, 1000, 5000}) {
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
  EXPECT_EQ(Planner::open(path).plan(options).total_bytes, Engine(model, engine_options(1000, 1, KvCodec::f16)).plan().total_bytes);
  int64_t read = 0;
  for (const PlanWeights& part : Planner::open(path).plan(options).weights) read += part.read_bytes;
  EXPECT_EQ(read, model->bytes_per_token());
}

TEST(Plan, OfAFolderIsWhatTheEngineTakes) {
  for (const auto& entry : std::filesystem::directory_iterator(kOracle)) {
    if (std::filesystem::exists(entry.path() / "config.json")) expect_plan_is_allocation(entry.path().string());
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
      for (const int context : kSanitized ? std::vector{100} : std::vector{1, 100, 1000}) {
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

// 85 MB (325 bytes a token) were measured when the first grammar came; the plan of a server is made for it (tests/serve_models_test.cpp).
TEST(Plan, CountsTheVocabularyThatGrammarsSort) {
  const PlanOptions plain = {.context_tokens = 1024}, with = {.context_tokens = 1024, .grammars = true};
  const Planner planner = Planner::open("gemma3-270m");
  const int64_t sorted = planner.plan(with).vocabulary_bytes - planner.plan(plain).vocabulary_bytes;
  EXPECT_GE(sorted, 85'000'000);
  EXPECT_LE(sorted, 100'000'000);
  EXPECT_EQ(planner.plan(with).total_bytes - planner.plan(plain).total_bytes, sorted);
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

// What requests to come may have is what the cache is limited to.
TEST(Plan, WithWhatIsKeptForRequestsToComeIsTheLimitOfTheCache) {
  for (const char* name : {"gemma4_a1", "llama4_a1", "deepseek_v2_a1", "jamba_a1"}) {
    SCOPED_TRACE(name);
    const auto model = DrawnModel(name).load();
    for (const int sequences : {1, 5}) {
      for (const int64_t cache_bytes : {int64_t{0}, int64_t{1} << 20, int64_t{EngineOptions::kAsMuchAgain}}) {
        EngineOptions options = engine_options(300, sequences, KvCodec::bf16);
        options.cache_bytes = cache_bytes;
        const Engine engine(model, options);
        EXPECT_EQ(engine.plan().cache_bytes() + engine.plan().retained_bytes, engine.stats().kv_bytes) << sequences;
      }
    }
  }
}

// Sequences that share a prefix, each at its longest, in a cache that has room for them and for what is planned to stay of the
// prefix, and no more.
class SharedPrefix : public testing::TestWithParam<const char*> {
 protected:
  static constexpr int kPrefix = 100, kContext = 300, kSequences = 3;

  SharedPrefix()
      : drawn_(GetParam()),
        plan_(Planner::open(drawn_.path())
                  .plan({.context_tokens = kContext,
                         .sequences = kSequences,
                         .shared_prefix_tokens = kPrefix,
                         .chunk_tokens = 16,
                         .threads = 2})),
        engine_(drawn_.load(), options()) {
    Request prefix;
    prefix.prompt = tokens(kPrefix, 0);
    prefix.cache.keep = KeepLevel::priority;
    engine_.generate(std::move(prefix), nullptr);
  }

  EngineOptions options() const {
    EngineOptions options = engine_options(kContext, kSequences, KvCodec::bf16);
    options.chunk_tokens = 16;
    options.cache_bytes = plan_.pinned_bytes;
    return options;
  }
  static std::vector<int32_t> tokens(int count, int variant) {
    std::vector<int32_t> all;
    for (int i = 0; i < count; ++i) all.push_back(3 + (i * 7 + (i >= kPrefix ? 1 + variant : 0)) % 90);
    return all;
  }
  static Request sharer(int variant) {
    Request request;
    request.prompt = tokens(kPrefix + 40, variant);
    request.max_tokens = kContext - static_cast<int>(request.prompt.size());
    request.cache.keep = KeepLevel::none;
    return request;
  }

  // Pages per group that are held or kept, most at any time.
  std::vector<int> run_together() {
    for (int i = 0; i < kSequences; ++i) engine_.submit(sharer(i));
    std::vector<int> most(engine_.stats().kv.size());
    while (!engine_.idle()) {
      engine_.step();
      const EngineStats stats = engine_.stats();
      for (size_t i = 0; i < most.size(); ++i) most[i] = std::max(most[i], stats.kv[i].held_pages + stats.kv[i].kept_pages);
    }
    return most;
  }

  DrawnModel drawn_;
  Plan plan_;
  Engine engine_;
};

TEST_P(SharedPrefix, TakesThePlannedPagesWhereNothingIsGivenBack) {
  const std::vector<int> most = run_together();
  const std::vector<KvGroupStats> stats = engine_.stats().kv;
  for (const PlanGroup& group : plan_.groups) {
    if (group.window || group.kind == "state") continue;  // what windows and states leave free is used by other boundaries
    const auto same = std::ranges::find(stats, group.layers, &KvGroupStats::layer_indices);
    ASSERT_NE(same, stats.end());
    const auto i = static_cast<size_t>(same - stats.begin());
    const int64_t planned = (group.bytes + group.page_slack_bytes + group.pinned_bytes) / same->page_bytes;
    EXPECT_LE(most[i], planned) << group.kind;
    EXPECT_GE(most[i], planned - kSequences) << group.kind;  // not all are at their longest in the same step
  }
}

TEST_P(SharedPrefix, IsStillThereForTheNextWhoBeginsLikeThat) {
  run_together();
  engine_.submit(sharer(7));
  ReuseReport reuse;
  while (!engine_.idle()) {
    for (const Event& event : engine_.step()) reuse = event.reuse;
  }
  EXPECT_GE(reuse.reused_tokens, kPrefix - 1) << text_of(reuse);  // a state stands before the last token
}

INSTANTIATE_TEST_SUITE_P(Cases, SharedPrefix,
                         testing::Values("gemma3_a1", "gemma4_a1", "qwen2_a1", "llama4_a1", "deepseek_v2_a1", "jamba_a1", "mamba_a1"),
                         [](const auto& each) { return std::string(each.param); });

TEST(Plan, AnEngineAskedToKeepMoreThanThereIsIsRefused) {
  const auto model = Model::load((kOracle / "llama").string());
  EngineOptions options = engine_options(100, 1, KvCodec::f32);
  options.cache_bytes = EngineLimits::kMostCacheBytes;
  try {
    const Engine engine(model, options);
    FAIL() << "16 TiB were set aside";
  } catch (const Error& error) {
    EXPECT_NE(error.problem().find("for requests to come, 16.0 TiB"), std::string::npos) << error.problem();
    EXPECT_NE(error.mend().find("these fit: --cache "), std::string::npos) << error.mend();
  }
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
