// Sequences that forget: what a query sees depends on its position alone, memory stays within the budget, and nobody else
// notices. On tiny models.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "fovea/engine.h"
#include "fovea/error.h"
#include "support/drawn_model.h"
#include "support/oracle_case.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;
using Tokens = std::vector<int32_t>;

constexpr int kContext = 700, kBudget = 128, kSinks = 16, kInterval = 32;

EngineOptions lossy_options(EvictionPolicy policy, int chunk_tokens = 64, int sequences = 1) {
  EngineOptions options;
  options.context_tokens = kContext;
  options.sequences = sequences;
  options.chunk_tokens = chunk_tokens;
  options.threads = 2;
  options.eviction = {.policy = policy, .budget_tokens = kBudget, .sinks = kSinks, .interval_tokens = kInterval};
  return options;
}

Tokens random_tokens(const Model& model, int count, uint32_t seed) {
  std::mt19937 random(seed);
  Tokens tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % static_cast<uint32_t>(model.facts().vocabulary));
  return tokens;
}

std::vector<float> rows_of(const std::vector<float>& logits, int vocabulary, int begin, int end) {
  return {logits.begin() + int64_t{begin} * vocabulary, logits.begin() + int64_t{end} * vocabulary};
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

struct Case {
  const char* model;
  EvictionPolicy policy;
};

class Eviction : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { model_ = load_tiny(GetParam().model); }
  EngineOptions options(int chunk_tokens = 64, int sequences = 1) const {
    return lossy_options(GetParam().policy, chunk_tokens, sequences);
  }
  int vocabulary() const { return model_->facts().vocabulary; }

  std::shared_ptr<const Model> model_;
};

TEST_P(Eviction, GivesTheSameBitsHoweverThePromptIsCut) {
  const Tokens prompt = random_tokens(*model_, 600, 1);
  const Recording whole = run_alone(model_, options(512), prompt, 40);
  for (const int chunk : {1, 7, 64}) {
    SCOPED_TRACE(chunk);
    const Recording cut = run_alone(model_, options(chunk), prompt, 40);
    expect_same_bits(whole.logits, cut.logits, vocabulary());
    EXPECT_EQ(whole.tokens, cut.tokens);
  }
}

TEST_P(Eviction, IsExactUpToTheBudgetAndNotBeyond) {
  const Tokens prompt = random_tokens(*model_, 300, 2);
  EngineOptions exact = options();
  exact.eviction = {};
  const std::vector<float> expected = run_alone(model_, exact, prompt).logits, lossy = run_alone(model_, options(), prompt).logits;
  expect_same_bits(rows_of(expected, vocabulary(), 0, kBudget), rows_of(lossy, vocabulary(), 0, kBudget), vocabulary());
  EXPECT_GT(largest_difference(rows_of(expected, vocabulary(), kBudget, 300), rows_of(lossy, vocabulary(), kBudget, 300)), 1e-3f);
}

TEST_P(Eviction, HoldsTheBudgetAndNoMore) {
  Engine engine(model_, options());
  Recording recording;
  Request request = recorded(random_tokens(*model_, 600, 3), 90, recording);
  request.cache.keep = KeepLevel::none;
  const RequestId id = engine.submit(std::move(request));
  LossReport lost;
  const int copies = GetParam().policy == EvictionPolicy::streaming ? kSinks : 0;
  while (!engine.idle()) {
    for (const Event& event : engine.step()) {
      EXPECT_EQ(event.request, id);
      lost = event.lost;
    }
    for (const KvGroupStats& group : engine.stats().kv) {
      if (group.window > 0) continue;
      EXPECT_LE(group.held_pages * group.page_tokens, kBudget + copies);
    }
  }
  EXPECT_FALSE(lost.exact());
  EXPECT_EQ(lost.evicted_tokens % kInterval, 0);
  EXPECT_GE(lost.evicted_tokens, 689 - kBudget);
  EXPECT_LT(lost.evicted_tokens, 689 - kBudget + kInterval);
  EXPECT_EQ(engine.stats().evicted_tokens, lost.evicted_tokens);
}

// A lossy request finds what is exact, but leaves nothing; with it or without, everybody gets what they would get alone.
TEST_P(Eviction, LeavesOthersAsTheyWere) {
  const Tokens longer = random_tokens(*model_, 400, 4), prompt(longer.begin(), longer.begin() + 90);
  Engine engine(model_, options(64, 3));
  const auto run = [&](const Tokens& tokens, bool evict, Recording& recording) {
    ReuseReport report;
    Request request = recorded(tokens, 5, recording);
    request.logits_from = static_cast<int>(tokens.size()) - 1;
    request.on_logits = [&recording](int, std::span<const float> row) {
      recording.logits.insert(recording.logits.end(), row.begin(), row.end());
    };
    request.evict = evict;
    engine.submit(std::move(request));
    while (!engine.idle()) {
      for (const Event& event : engine.step()) {
        if (event.token) recording.tokens.push_back(*event.token);
        report = event.reuse;
      }
    }
    return report;
  };
  const auto alone = [&](const Tokens& tokens, const EngineOptions& settings) {
    const Recording all = run_alone(model_, settings, tokens, 5);
    return rows_of(all.logits, vocabulary(), static_cast<int>(tokens.size()) - 1, static_cast<int>(tokens.size()) + 4);
  };
  Recording cold, lossy, exact, warm, lossy_again;
  EXPECT_EQ(run(longer, true, lossy).reused_tokens, 0);
  EXPECT_EQ(run(prompt, false, exact).reused_tokens, 0) << "a lossy sequence fed the index";
  EXPECT_GT(run(prompt, false, warm).reused_tokens, 80);
  const int reused = run(longer, true, lossy_again).reused_tokens;
  EXPECT_EQ(reused > 80, GetParam().policy == EvictionPolicy::streaming);
  EngineOptions plain = options();
  plain.eviction = {};
  expect_same_bits(alone(prompt, plain), exact.logits, vocabulary());
  expect_same_bits(alone(prompt, plain), warm.logits, vocabulary());
  expect_same_bits(alone(longer, options()), lossy.logits, vocabulary());
  expect_same_bits(alone(longer, options()), lossy_again.logits, vocabulary());
}

TEST_P(Eviction, GivesTheSameBitsBesideOtherRequests) {
  const Tokens longer = random_tokens(*model_, 400, 5);
  const Recording alone = run_alone(model_, options(), longer, 20);
  Engine engine(model_, options(50, 3));
  Recording together, others[2];
  engine.submit(recorded(random_tokens(*model_, 333, 6), 30, others[0]));
  engine.submit(recorded(longer, 20, together));
  Request exact = recorded(random_tokens(*model_, 80, 7), 10, others[1]);
  exact.evict = false;
  engine.submit(std::move(exact));
  while (!engine.idle()) engine.step();
  expect_same_bits(alone.logits, together.logits, vocabulary());
}

INSTANTIATE_TEST_SUITE_P(On, Eviction,
                         testing::Values(Case{"gemma3", EvictionPolicy::streaming}, Case{"llama3", EvictionPolicy::streaming},
                                         Case{"gemma3", EvictionPolicy::heavy_hitters}, Case{"llama3", EvictionPolicy::heavy_hitters},
                                         Case{"gemma3", EvictionPolicy::persistence}, Case{"llama3", EvictionPolicy::persistence},
                                         Case{"gemma4_a1", EvictionPolicy::streaming}, Case{"gemma4_a1", EvictionPolicy::heavy_hitters}),
                         [](const auto& each) { return std::string(each.param.model) + "_" + std::string(name_of(each.param.policy)); });

// A model of which one layer is left: its keys and values do not know what came before, so that what is seen is all there is to know.
// window: of the layer that is left, where it has one; 0: as it is.
struct LayerOf {
  LayerOf(const std::string& name, int index, int window = 0) {
    const std::filesystem::path folder = kFamilies / name;
    const std::string wanted = "layers." + std::to_string(index) + ".";
    std::ifstream lines(folder / "weights.tsv");
    std::ofstream table(folder_ / "weights.tsv");
    for (std::string line; std::getline(lines, line);) {
      const size_t layer = line.find("layers.");
      if (layer == std::string::npos) table << line << "\n";
      else if (line.compare(layer, wanted.size(), wanted) == 0) table << line.replace(layer, wanted.size(), "layers.0.") << "\n";
    }
    table.close();
    write_drawn_weights(folder_ / "weights.tsv", folder_ / "model.safetensors");
    std::ifstream source(folder / "config.json");
    nlohmann::json config = nlohmann::json::parse(source);
    config["num_hidden_layers"] = 1;
    if (config.contains("layer_types")) config["layer_types"] = {config["layer_types"][static_cast<size_t>(index)]};
    if (window > 0) config["sliding_window"] = window;
    std::ofstream(folder_ / "config.json") << config;
    LoadOptions load;
    load.threads = 1;
    model = Model::load(folder_.string(), load);
  }

  static EngineOptions options(int context_tokens) {
    EngineOptions options;
    options.context_tokens = context_tokens;
    options.chunk_tokens = 40;
    options.threads = 2;
    options.kv_local = options.kv_global = KvCodec::f32;
    return options;
  }
  // The last logits of these tokens alone.
  std::vector<float> seen_alone(const Tokens& tokens) const {
    const int length = static_cast<int>(tokens.size()), vocabulary = model->facts().vocabulary;
    return rows_of(run_alone(model, options(length), tokens).logits, vocabulary, length - 1, length);
  }

  std::shared_ptr<const Model> model;

 private:
  TemporaryFolder folder_;
};

// Layers that see everything.
struct Layer {
  const char* model;
  int index;
};

class OneLayer : public testing::TestWithParam<Layer> {
 protected:
  static EngineOptions options(int context_tokens) { return LayerOf::options(context_tokens); }
  std::vector<float> seen_alone(const Tokens& tokens) const { return layer_.seen_alone(tokens); }

  const LayerOf layer_{GetParam().model, GetParam().index};
  const std::shared_ptr<const Model> model_ = layer_.model;
};

constexpr float kTolerance = 2e-5f;

// Keys as they are, and keys that are turned as they are read.
INSTANTIATE_TEST_SUITE_P(Of, OneLayer, testing::Values(Layer{"qwen3_a1", 0}, Layer{"gemma4_a1", 2}, Layer{"gemma4_b1", 3}),
                         [](const auto& each) { return std::string(each.param.model); });

TEST_P(OneLayer, StreamingSeesSinksAndTheNewestAsIfNothingHadBeenBetween) {
  const Tokens tokens = random_tokens(*model_, 400, 8);
  EngineOptions lossy = options(400);
  lossy.eviction = {.policy = EvictionPolicy::streaming, .budget_tokens = 64, .sinks = 16, .interval_tokens = 16};
  const std::vector<float> logits = run_alone(model_, lossy, tokens).logits;
  for (const int position : {63, 64, 79, 80, 200, 399}) {
    const int gone = position < 64 ? 0 : ((position - 64) / 16 + 1) * 16;
    Tokens seen(tokens.begin(), tokens.begin() + 16);
    seen.insert(seen.end(), tokens.begin() + 16 + gone, tokens.begin() + position + 1);
    const int vocabulary = model_->facts().vocabulary;
    EXPECT_LE(largest_difference(seen_alone(seen), rows_of(logits, vocabulary, position, position + 1)), kTolerance) << position;
    seen.erase(seen.begin());
    EXPECT_GT(largest_difference(seen_alone(seen), rows_of(logits, vocabulary, position, position + 1)), 10 * kTolerance) << position;
  }
}

// A window that forgets sees sinks and the newest too, and says nothing of layers that see everything: there are none here.
class OneWindow : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Of, OneWindow, testing::Values("gemma3_b1", "mistral_b1"),
                         [](const auto& each) { return std::string(each.param); });

TEST_P(OneWindow, StreamingSeesSinksAndTheNewestAsIfNothingHadBeenBetween) {
  const LayerOf local(GetParam(), 0, 96);
  const Tokens tokens = random_tokens(*local.model, 400, 16);
  EngineOptions lossy = LayerOf::options(400);
  lossy.eviction = {
      .policy = EvictionPolicy::streaming, .budget_tokens = 128, .local_budget_tokens = 64, .sinks = 16, .interval_tokens = 16};
  const std::vector<float> logits = run_alone(local.model, lossy, tokens).logits;
  const int vocabulary = local.model->facts().vocabulary;
  for (const int position : {63, 64, 79, 80, 200, 399}) {
    const int gone = position < 64 ? 0 : ((position - 64) / 16 + 1) * 16;
    Tokens seen(tokens.begin(), tokens.begin() + 16);
    seen.insert(seen.end(), tokens.begin() + 16 + gone, tokens.begin() + position + 1);
    EXPECT_LE(largest_difference(local.seen_alone(seen), rows_of(logits, vocabulary, position, position + 1)), kTolerance) << position;
    seen.erase(seen.begin());
    EXPECT_GT(largest_difference(local.seen_alone(seen), rows_of(logits, vocabulary, position, position + 1)), 10 * kTolerance) << position;
  }
  lossy.eviction.local_budget_tokens = 96;
  EXPECT_THROW(Engine(local.model, lossy), Error) << "a window of 96 has no use for it";
}

TEST_P(OneWindow, ThatForgetsGivesTheSameBitsHoweverThePromptIsCutAndBesideOthers) {
  const LayerOf local(GetParam(), 0, 96);
  const int vocabulary = local.model->facts().vocabulary;
  const Tokens tokens = random_tokens(*local.model, 300, 17);
  for (const EvictionPolicy policy : {EvictionPolicy::streaming, EvictionPolicy::heavy_hitters, EvictionPolicy::persistence}) {
    SCOPED_TRACE(name_of(policy));
    EngineOptions lossy = LayerOf::options(400);
    lossy.eviction = {.policy = policy, .budget_tokens = 128, .local_budget_tokens = 64, .sinks = 16, .interval_tokens = 16};
    const Recording whole = run_alone(local.model, lossy, tokens, 20);
    EngineOptions exact = LayerOf::options(400);
    const std::vector<float> expected = run_alone(local.model, exact, tokens).logits;
    expect_same_bits(rows_of(expected, vocabulary, 0, 64), rows_of(whole.logits, vocabulary, 0, 64), vocabulary);
    EXPECT_GT(largest_difference(rows_of(expected, vocabulary, 64, 300), rows_of(whole.logits, vocabulary, 64, 300)), 1e-4f);
    for (const int chunk : {1, 7}) {
      lossy.chunk_tokens = chunk;
      lossy.sequences = 2;
      Engine engine(local.model, lossy);
      Recording cut, other;
      engine.submit(recorded(random_tokens(*local.model, 120, 18), 30, other));
      engine.submit(recorded(tokens, 20, cut));
      while (!engine.idle()) engine.step();
      expect_same_bits(whole.logits, cut.logits, vocabulary);
    }
  }
}

TEST_P(OneLayer, ShiftGoesOnAsIfTheSpanHadNeverBeenThere) {
  const Tokens prompt = random_tokens(*model_, 50, 9);
  Engine engine(model_, options(64));
  Recording recording;
  Request request = recorded(prompt, 40, recording);
  request.shift_after = 16;
  LossReport lost;
  engine.submit(std::move(request));
  while (!engine.idle()) {
    for (const Event& event : engine.step()) {
      if (event.token) recording.tokens.push_back(*event.token);
      lost = event.lost;
    }
  }
  ASSERT_EQ(recording.tokens.size(), 40u);
  EXPECT_EQ(lost.shifted_tokens, 2 * 16);  // at 64 positions, and again
  Tokens all = prompt;
  all.insert(all.end(), recording.tokens.begin(), recording.tokens.end());
  const int vocabulary = model_->facts().vocabulary;
  for (const auto& [position, gone] : {std::pair{63, 0}, std::pair{64, 16}, std::pair{79, 16}, std::pair{80, 32}, std::pair{88, 32}}) {
    Tokens seen(all.begin(), all.begin() + 16);
    seen.insert(seen.end(), all.begin() + 16 + gone, all.begin() + position + 1);
    EXPECT_LE(largest_difference(seen_alone(seen), rows_of(recording.logits, vocabulary, position, position + 1)), kTolerance) << position;
  }
}

TEST_P(OneLayer, AShiftedSequenceLeavesOnlyWhatWasExact) {
  const Tokens prompt = random_tokens(*model_, 50, 10);
  Engine engine(model_, options(64));
  Recording recording;
  Request request = recorded(prompt, 40, recording);
  request.shift_after = 16;
  engine.generate(std::move(request), [&](int32_t token) {
    recording.tokens.push_back(token);
    return true;
  });
  Tokens next = prompt;
  next.insert(next.end(), recording.tokens.begin(), recording.tokens.begin() + 13);
  Recording warm;
  engine.generate(recorded(next, 0, warm), nullptr);  // wants all logits: nothing is reused
  engine.generate(
      [&] {
        Request again;
        again.prompt = next;
        return again;
      }(),
      nullptr);
  EXPECT_EQ(engine.stats().reused_tokens, 62) << "of what the exact request left";
  expect_same_bits(run_alone(model_, options(64), next).logits, warm.logits, model_->facts().vocabulary);
}

TEST_P(OneLayer, RefusesWhatCannotBe) {
  EngineOptions impossible = options(400);
  impossible.eviction = {.policy = EvictionPolicy::streaming, .budget_tokens = 64, .sinks = 32, .interval_tokens = 32};
  EXPECT_THROW(Engine(model_, impossible), Error);

  EngineOptions lossy = options(400);
  lossy.eviction = {.policy = EvictionPolicy::streaming, .budget_tokens = 64, .sinks = 16, .interval_tokens = 16};
  Engine engine(model_, lossy);
  Request request;
  request.prompt = random_tokens(*model_, 65, 11);
  request.evict = false;
  EXPECT_THROW(engine.submit(request), Error) << "longer than the budget";
  request.evict = true;
  request.shift_after = 0;
  EXPECT_THROW(engine.submit(request), Error) << "a sequence that forgets has no full context";

  Engine exact(model_, options(64));
  request.prompt.resize(10);
  request.shift_after = 40;
  EXPECT_THROW(exact.submit(request), Error) << "nothing is left to drop";
}

TEST(Shift, IsRefusedWhereLayersCarryAState) {
  const auto model = DrawnModel("mamba_a1").load();
  EngineOptions options;
  options.context_tokens = 64;
  options.threads = 1;
  Engine engine(model, options);
  Request request;
  request.prompt = {1, 2, 3};
  request.max_tokens = 5;
  request.shift_after = 0;
  EXPECT_THROW(engine.submit(request), Error);
}

TEST(StaticCache, GivesTheBitsOfThePagedOneAndServesOneRequestAfterTheOther) {
  for (const char* name : {"gemma3", "llama3"}) {
    LoadOptions load;
    load.threads = 1;
    const auto model = Model::load((kOracle / name).string(), load);
    const Tokens prompt = random_tokens(*model, 150, 14), other = random_tokens(*model, 120, 15);
    EngineOptions options;
    options.context_tokens = 200;
    options.chunk_tokens = 31;
    options.threads = 2;
    const Recording paged = run_alone(model, options, prompt, 30);
    options.static_cache = true;
    Engine engine(model, options);
    Recording before, fixed;
    engine.submit(recorded(other, 5, before));
    engine.submit(recorded(prompt, 30, fixed));
    while (!engine.idle()) engine.step();
    expect_same_bits(paged.logits, fixed.logits, model->facts().vocabulary);
    EXPECT_EQ(engine.stats().kv_used_bytes, engine.stats().kv_bytes);
    options.sequences = 2;
    EXPECT_THROW(Engine(model, options), Error);
    options.sequences = 1;
    options.eviction.policy = EvictionPolicy::streaming;
    EXPECT_THROW(Engine(model, options), Error);
  }
}

// Windows move up too: logits do not depend on how the prompt was cut before a shift, nor on other requests.
TEST(Shift, GivesTheSameBitsForAnyChunkAndBesideOthers) {
  for (const char* name : {"gemma3", "llama3"}) {
    SCOPED_TRACE(name);
    LoadOptions load;
    load.threads = 1;
    const auto model = Model::load((kOracle / name).string(), load);
    const Tokens prompt = random_tokens(*model, 150, 12);
    const auto run = [&](int chunk, bool beside) {
      EngineOptions options;
      options.context_tokens = 192;
      options.chunk_tokens = chunk;
      options.sequences = 2;
      options.threads = 2;
      Engine engine(model, options);
      Recording recording, other;
      Request request = recorded(prompt, 200, recording);
      request.shift_after = 10;
      engine.submit(std::move(request));
      if (beside) engine.submit(recorded(random_tokens(*model, 100, 13), 60, other));
      while (!engine.idle()) engine.step();
      EXPECT_GT(engine.stats().shifted_tokens, 0);
      return recording.logits;
    };
    const std::vector<float> alone = run(192, false);
    for (const int chunk : {1, 7}) expect_same_bits(alone, run(chunk, chunk == 7), model->facts().vocabulary);
  }
}

}  // namespace
}  // namespace fovea
