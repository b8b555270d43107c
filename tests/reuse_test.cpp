// What is found in the cache gives the same logits as computing it, whoever left it there and whatever was
// dropped in between; what keeps requests apart keeps them apart; and every report says why no more was
// reused. On tiny models.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "fovea/engine.h"
#include "fovea/error.h"
#include "support/drawn_model.h"
#include "support/oracle_case.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;

using Tokens = std::vector<int32_t>;

constexpr int kContext = 512;

struct Form {
  const char* model;
  KvCodecs codecs;
};

class Reuse : public testing::TestWithParam<Form> {
 protected:
  void SetUp() override { model_ = load_tiny(GetParam().model); }

  EngineOptions options(int64_t cache_bytes = EngineOptions::kAsMuchAgain, int sequences = 1) const {
    EngineOptions options;
    options.context_tokens = kContext;
    options.sequences = sequences;
    options.chunk_tokens = 64;
    options.threads = 2;
    options.cache_bytes = cache_bytes;
    options.kv_local = options.kv_global = GetParam().codecs;
    return options;
  }

  Tokens random_tokens(int count, uint32_t seed) const {
    std::mt19937 random(seed);
    Tokens tokens(static_cast<size_t>(count));
    for (int32_t& token : tokens) token = static_cast<int32_t>(random() % static_cast<uint32_t>(vocabulary()));
    return tokens;
  }
  int vocabulary() const { return model_->facts().vocabulary; }

  static Request request_for(Tokens prompt, int max_tokens, Recording& recording) {
    Request request;
    request.logits_from = static_cast<int>(prompt.size()) - 1;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    request.on_logits = [&recording](int, std::span<const float> row) {
      recording.logits.insert(recording.logits.end(), row.begin(), row.end());
    };
    return request;
  }

  // Runs the request alone to its end.
  static ReuseReport run(Engine& engine, Request request, Recording& recording) {
    ReuseReport report;
    engine.submit(std::move(request));
    while (!engine.idle()) {
      for (const Event& event : engine.step()) {
        if (event.token) recording.tokens.push_back(*event.token);
        report = event.reuse;
      }
    }
    return report;
  }
  static ReuseReport run(Engine& engine, const Tokens& prompt, int max_tokens = 0, CacheTerms terms = {}) {
    Recording recording;
    Request request = request_for(prompt, max_tokens, recording);
    request.cache = std::move(terms);
    return run(engine, std::move(request), recording);
  }

  void expect_as_cold(const Tokens& prompt, int max_tokens, const Recording& warm) const {
    Engine cold(model_, options(0));
    Recording expected;
    run(cold, request_for(prompt, max_tokens, expected), expected);
    EXPECT_EQ(warm.tokens, expected.tokens);
    expect_same_bits(expected.logits, warm.logits, vocabulary());
  }

  std::shared_ptr<const Model> model_;
};

TEST_P(Reuse, GivesTheLogitsOfAColdRunWhereverPromptsBranchOffAndWhateverWasDropped) {
  for (const int64_t cache_bytes : {int64_t{0}, int64_t{30'000}, int64_t{1} << 20}) {
    SCOPED_TRACE(cache_bytes);
    Engine engine(model_, options(cache_bytes));
    std::mt19937 random(7);
    std::vector<Tokens> known = {random_tokens(400, 1), random_tokens(60, 2)};
    int64_t reused = 0;
    for (int i = 0; i < 40 && !HasFailure(); ++i) {
      SCOPED_TRACE(i);
      Tokens prompt = known[random() % known.size()];
      prompt.resize(1 + random() % prompt.size());
      const Tokens more = random_tokens(static_cast<int>(random() % 30), 100 + static_cast<uint32_t>(i));
      prompt.insert(prompt.end(), more.begin(), more.end());
      Recording warm;
      const ReuseReport report = run(engine, request_for(prompt, 9, warm), warm);
      EXPECT_TRUE(report.exact);
      EXPECT_EQ(report.prompt_tokens, report.computed_tokens + report.reused_tokens);
      reused += report.reused_tokens;
      expect_as_cold(prompt, 9, warm);
      prompt.insert(prompt.end(), warm.tokens.begin(), warm.tokens.end());
      if (prompt.size() < 450) known.push_back(std::move(prompt));
    }
    EXPECT_GT(reused, 100);
    EXPECT_LE(engine.stats().kv_used_bytes, engine.stats().kv_bytes);
    EXPECT_EQ(engine.stats().reused_tokens, reused);
  }
}

TEST_P(Reuse, TheNextTurnComputesOnlyWhatIsNew) {
  Engine engine(model_, options());
  Tokens chat = random_tokens(200, 3);
  for (int turn = 0; turn < 5; ++turn) {
    Recording answer;
    const ReuseReport report = run(engine, request_for(chat, 12, answer), answer);
    EXPECT_EQ(report.computed_tokens, turn == 0 ? 200 : 1 + 20) << "the last token of an answer is chosen, not computed";
    chat.insert(chat.end(), answer.tokens.begin(), answer.tokens.end());
    const Tokens more = random_tokens(20, 50 + static_cast<uint32_t>(turn));
    chat.insert(chat.end(), more.begin(), more.end());
  }
}

TEST_P(Reuse, APromptSubmittedWhileAnotherReadsTheSameBeginningWaitsForIt) {
  Engine engine(model_, options(EngineOptions::kAsMuchAgain, 4));
  const Tokens system = random_tokens(300, 4);
  std::vector<Recording> recordings(4);
  std::vector<Tokens> prompts;
  for (uint32_t user = 0; user < 4; ++user) {
    prompts.push_back(system);
    const Tokens own = random_tokens(10 + static_cast<int>(user), 60 + user);
    prompts.back().insert(prompts.back().end(), own.begin(), own.end());
    engine.submit(request_for(prompts.back(), 5, recordings[user]));
  }
  while (!engine.idle()) engine.step();
  EXPECT_EQ(engine.stats().reused_tokens, 3 * 300);
  for (size_t user = 0; user < 4; ++user) {
    Engine cold(model_, options(0));
    Recording expected;
    run(cold, request_for(prompts[user], 5, expected), expected);
    expect_same_bits(expected.logits, recordings[user].logits, vocabulary());
  }
}

TEST_P(Reuse, AnotherSaltFindsNothing) {
  Engine engine(model_, options());
  const Tokens prompt = random_tokens(100, 5);
  run(engine, prompt, 0, {.salt = "a"});
  EXPECT_EQ(run(engine, prompt, 0, {.salt = "b"}).reused_tokens, 0);
  EXPECT_EQ(run(engine, prompt).reused_tokens, 0);
  EXPECT_EQ(run(engine, prompt, 0, {.salt = "a"}).reused_tokens, 99);
}

TEST_P(Reuse, WhatIsNotToBeKeptIsNot) {
  Engine engine(model_, options());
  const Tokens prompt = random_tokens(100, 6);
  run(engine, prompt, 3, {.keep = KeepLevel::none});
  EXPECT_EQ(engine.stats().kv_used_bytes, 0);
  const ReuseReport report = run(engine, prompt);
  EXPECT_EQ(report.reused_tokens, 0);
  EXPECT_EQ(report.reason, ReuseReason::unknown);
  EXPECT_EQ(run(engine, prompt, 0, {.reuse = false}).reason, ReuseReason::off);
  engine.forget();
  EXPECT_EQ(run(engine, prompt).reused_tokens, 0);
}

TEST_P(Reuse, AReportSaysWhyNoMoreWasReused) {
  Engine engine(model_, options());
  const Tokens prompt = random_tokens(200, 8);
  const ReuseReport first = run(engine, prompt);
  EXPECT_EQ(text_of(first), "reused 0 of 200 tokens: nothing kept begins like this");
  EXPECT_EQ(text_of(run(engine, prompt)), "reused 199 of 200 tokens");
  Tokens longer = prompt;
  longer.push_back(1);
  longer.push_back(2);
  EXPECT_EQ(text_of(run(engine, longer)), "reused 200 of 202 tokens: what is kept ends at token 200");
  Tokens other = prompt;
  other[199] = (other[199] + 1) % vocabulary();
  other.push_back(3);
  EXPECT_EQ(text_of(run(engine, other)), "reused 199 of 201 tokens: differs at token 199");
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.reuse_reasons, (std::map<std::string, int64_t>{{"unknown", 1}, {"none", 1}, {"ends", 1}, {"differs", 1}}));
}

TEST_P(Reuse, ACancelledAnswerCanBeContinued) {
  Engine engine(model_, options());
  const Tokens prompt = random_tokens(150, 9);
  Recording recording;
  int left = 5;
  engine.generate(request_for(prompt, 100, recording), [&](int32_t token) {
    recording.tokens.push_back(token);
    return --left > 0;
  });
  Tokens continued = prompt;
  continued.insert(continued.end(), recording.tokens.begin(), recording.tokens.end());
  EXPECT_EQ(run(engine, continued).computed_tokens, 1);
}

TEST_P(Reuse, BoundariesOutsideThePromptAreRefused) {
  Engine engine(model_, options());
  EXPECT_THROW(run(engine, random_tokens(10, 1), 0, {.boundaries = {11}}), Error);
  EXPECT_THROW(run(engine, random_tokens(10, 1), 0, {.ttl_seconds = -1}), Error);
}

INSTANTIATE_TEST_SUITE_P(Models, Reuse,
                         testing::Values(Form{"gemma3", KvCodec::bf16}, Form{"gemma3_odd_untied", KvCodec::bf16},
                                         Form{"llama3", KvCodec::bf16}, Form{"gemma3", KvCodec::int8}, Form{"gemma3", KvCodec::int4},
                                         Form{"llama3", KvCodecs(KvCodec::int8, KvCodec::tq3)}, Form{"gemma4_a1", KvCodec::bf16},
                                         Form{"gemma4_b1", KvCodec::int4}),
                         [](const auto& each) {
                           return std::string(each.param.model) + "_" + std::string(name_of(each.param.codecs.keys)) + "_" +
                                  std::string(name_of(each.param.codecs.values));
                         });

// Where the windows of a long prompt were dropped, reading all local layers' worth of windows again restores
// them, bit for bit; reading less does not, and says so.
TEST(Replay, RestoresWindowsExactlyWithoutComputingThePast) {
  LoadOptions load;
  load.threads = 1;
  const auto model = Model::load((kOracle / "gemma3").string(), load);
  int replay = 16;
  for (const LayerFacts& layer : model->facts().layers) replay += layer.window.value_or(1) - 1;
  ASSERT_LT(replay, 200);
  std::mt19937 random(3);
  const auto tokens_of = [&](int count) {
    Tokens tokens(static_cast<size_t>(count));
    for (int32_t& token : tokens) token = static_cast<int32_t>(random() % static_cast<uint32_t>(model->facts().vocabulary));
    return tokens;
  };
  EngineOptions options;
  options.context_tokens = 2'048;
  options.chunk_tokens = 64;
  int replays = 0, approximate = 0;
  for (const int windows : {0, 1}) {
    options.cache_bytes = 0;
    Engine engine(model, options);
    Tokens prompt = tokens_of(1'500);
    for (int round = 0; round < 60; ++round) {
      Request other;  // takes the room away
      other.prompt = tokens_of(100 + round * 20);
      engine.generate(std::move(other), {});
      Request request;
      Recording warm;
      request.prompt = prompt;
      request.prompt.push_back(round);
      request.max_tokens = 4;
      request.logits_from = static_cast<int>(prompt.size());
      request.cache.approximate_windows = windows;
      request.on_logits = [&](int, std::span<const float> row) { warm.logits.insert(warm.logits.end(), row.begin(), row.end()); };
      const Tokens asked = request.prompt;
      const RequestId id = engine.submit(std::move(request));
      ReuseReport report;
      while (!engine.idle()) {
        for (const Event& event : engine.step()) report = event.reuse;
        (void)id;
      }
      approximate += !report.exact;
      if (report.replayed_tokens == 0 || !report.exact) continue;
      ++replays;
      EXPECT_EQ(report.replayed_tokens, replay);
      EngineOptions alone = options;
      alone.cache_bytes = 0;
      Engine cold(model, alone);
      Recording expected;
      Request again;
      again.prompt = asked;
      again.max_tokens = 4;
      again.logits_from = static_cast<int>(prompt.size());
      again.on_logits = [&](int, std::span<const float> row) { expected.logits.insert(expected.logits.end(), row.begin(), row.end()); };
      cold.generate(std::move(again), {});
      expect_same_bits(expected.logits, warm.logits, model->facts().vocabulary);
    }
  }
  std::printf("%d exact replays, %d approximate\n", replays, approximate);
  EXPECT_GT(replays, 0);
  EXPECT_GT(approximate, 0);
}

}  // namespace
}  // namespace fovea
