// Rows whose states nobody wants are not computed to the end (model/forward.h): what is wanted is the same bits as where all are.
#include <gtest/gtest.h>

#include <random>

#include "fovea/engine.h"
#include "support/drawn_model.h"
#include "support/oracle_case.h"
#include "support/own_process.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;

constexpr int kPrompt = 83, kGenerated = 6;

std::vector<int32_t> random_tokens(int count, int vocabulary, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % static_cast<uint32_t>(vocabulary));
  return tokens;
}

EngineOptions options_of(int chunk_tokens) {
  EngineOptions options;
  options.context_tokens = 128;
  options.sequences = 3;
  options.chunk_tokens = chunk_tokens;
  options.threads = 2;
  return options;
}

// A request that wants logits from `first` on, into `logits`; none for nullptr.
Request request_of(const std::vector<int32_t>& prompt, int first, std::vector<float>* logits, std::vector<int32_t>& positions) {
  Request request;
  request.prompt = prompt;
  request.max_tokens = kGenerated;
  if (!logits) return request;
  request.logits_from = first;
  request.on_logits = [logits, &positions](int position, std::span<const float> row) {
    positions.push_back(position);
    logits->insert(logits->end(), row.begin(), row.end());
  };
  return request;
}

struct Outcome {
  std::vector<float> some;         // of the first prompt, from its middle on
  std::vector<int32_t> positions;  // of these
  std::vector<int32_t> tokens[2];  // generated
};

// Three prompts side by side: one wants logits from its middle on, one nothing but its tokens, one nothing at all.
Outcome run_together(const std::shared_ptr<const Model>& model, const EngineOptions& options, int first) {
  const int vocabulary = model->facts().vocabulary;
  Engine engine(model, options);
  Outcome outcome;
  std::vector<int32_t> none;
  const RequestId ids[2] = {engine.submit(request_of(random_tokens(kPrompt, vocabulary, 1), first, &outcome.some, outcome.positions)),
                            engine.submit(request_of(random_tokens(kPrompt - 20, vocabulary, 2), 0, nullptr, none))};
  Request silent = request_of(random_tokens(40, vocabulary, 3), 0, nullptr, none);
  silent.max_tokens = 0;
  const RequestId last = engine.submit(std::move(silent));
  bool ended = false;
  while (!engine.idle()) {
    for (const Event& event : engine.step()) {
      for (int i = 0; i < 2; ++i) {
        if (event.request == ids[i] && event.token) outcome.tokens[i].push_back(*event.token);
      }
      if (event.request == last) ended = event.finished == FinishReason::length;
    }
  }
  EXPECT_TRUE(ended);
  return outcome;
}

void expect_no_difference(const std::shared_ptr<const Model>& model) {
  const int vocabulary = model->facts().vocabulary;
  const Recording all = run_alone(model, options_of(128), random_tokens(kPrompt, vocabulary, 1), kGenerated);
  const Recording other = run_alone(model, options_of(128), random_tokens(kPrompt - 20, vocabulary, 2), kGenerated);
  for (const int chunk : kSanitized ? std::vector{24} : std::vector{128, 24, 5}) {
    for (const int first : {kPrompt - 1, kPrompt / 2}) {
      SCOPED_TRACE(testing::Message() << "chunks of " << chunk << ", logits from " << first);
      const Outcome outcome = run_together(model, options_of(chunk), first);
      ASSERT_EQ(outcome.positions.front(), first);
      const std::vector<float> expected(all.logits.begin() + static_cast<ptrdiff_t>(first) * vocabulary, all.logits.end());
      expect_same_bits(expected, outcome.some, vocabulary);
      EXPECT_EQ(outcome.tokens[0], all.tokens);
      EXPECT_EQ(outcome.tokens[1], other.tokens);
    }
  }
}

TEST(WantedRows, OfEveryFamilyAreWhatTheyAreAmongAll) {
  for (const std::string& name : oracle_cases(kFamilies)) {
    SCOPED_TRACE(name);
    expect_no_difference(DrawnModel(name).load());
  }
}

TEST(WantedRows, WithEveryCodecAreWhatTheyAreAmongAll) {
  const auto model = load_tiny("gemma3");
  for (const KvCodecs codec : {KvCodecs(KvCodec::int8), KvCodecs(KvCodec::int4, KvCodec::tq3), KvCodecs(KvCodec::tq4)}) {
    EngineOptions options = options_of(24);
    options.kv_local = options.kv_global = codec;
    const Recording all = run_alone(model, options, random_tokens(kPrompt, model->facts().vocabulary, 1), kGenerated);
    EXPECT_EQ(run_together(model, options, kPrompt - 1).tokens[0], all.tokens);
  }
}

// Eviction that goes by attention counts what every query attends to, wanted or not.
TEST(WantedRows, ChangeNothingOfWhatIsEvicted) {
  for (const std::string name : {"llama_a1", "gemma4_a1", "gemma4_shared_a1"}) {
    const auto model = DrawnModel(name).load();
    const std::vector<int32_t> prompt = random_tokens(400, model->facts().vocabulary, 1);
    for (const EvictionPolicy policy : {EvictionPolicy::heavy_hitters, EvictionPolicy::persistence}) {
      SCOPED_TRACE(testing::Message() << name << ", policy " << static_cast<int>(policy));
      EngineOptions options = options_of(16);
      options.context_tokens = 512;
      options.eviction = {.policy = policy, .budget_tokens = 128, .sinks = 16, .interval_tokens = 16};
      Engine engine(model, options);
      std::vector<float> logits;
      std::vector<int32_t> positions;
      std::vector<int32_t> none;
      Request companion = request_of(random_tokens(20, model->facts().vocabulary, 4), 0, nullptr, none);
      companion.max_tokens = 100;
      companion.evict = false;  // its row is the first of every step
      engine.submit(std::move(companion));
      engine.generate(request_of(prompt, 399, &logits, positions), {});
      EXPECT_GT(engine.stats().evicted_tokens, 0);
      const std::vector<float> all = run_alone(model, options, prompt, kGenerated).logits;
      expect_same_bits({all.begin() + 399 * model->facts().vocabulary, all.end()}, logits, model->facts().vocabulary);
    }
  }
}

// The share of the work that such rows have: one layer's, or that of all layers which read another's keys.
TEST(WantedRows, SaveTheLayersThatStoreNothing) {
  const auto saved = [](const std::string& name) {
    const auto model = DrawnModel(name).load();
    return 1 - static_cast<double>(model->stored_macs_per_token()) / static_cast<double>(model->macs_per_token());
  };
  for (const std::string name : {"gemma4_shared_a1", "gemma3n_a1"}) EXPECT_GT(saved(name), 0.3) << name;
  EXPECT_GT(saved("gemma4_a1"), 0.05);
  EXPECT_EQ(saved("mamba_a1"), 0);
}

}  // namespace
}  // namespace fovea
