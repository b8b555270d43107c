// Models whose layers carry a state continue from states that were kept at boundaries, with the logits of a cold run.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "fovea/engine.h"
#include "support/drawn_model.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;

using Tokens = std::vector<int32_t>;

constexpr int kContext = 400;

class StateReuse : public testing::TestWithParam<const char*> {
 protected:
  StateReuse() : drawn_(GetParam()), model_(drawn_.load()) {}

  EngineOptions options(int64_t cache_bytes = EngineOptions::kAsMuchAgain, int sequences = 1) const {
    EngineOptions options;
    options.context_tokens = kContext;
    options.sequences = sequences;
    options.chunk_tokens = 48;
    options.threads = 2;
    options.cache_bytes = cache_bytes;
    return options;
  }

  int vocabulary() const { return model_->facts().vocabulary; }

  Tokens random_tokens(int count, uint32_t seed) const {
    std::mt19937 random(seed);
    Tokens tokens(static_cast<size_t>(count));
    for (int32_t& token : tokens) token = static_cast<int32_t>(random() % static_cast<uint32_t>(vocabulary()));
    return tokens;
  }

  static ReuseReport run(Engine& engine, const Tokens& prompt, int answer, Recording& recording, CacheTerms terms = {}) {
    Request request;
    request.prompt = prompt;
    request.max_tokens = answer;
    request.cache = std::move(terms);
    request.logits_from = static_cast<int>(prompt.size()) - 1;
    request.on_logits = [&recording](int, std::span<const float> row) {
      recording.logits.insert(recording.logits.end(), row.begin(), row.end());
    };
    engine.submit(std::move(request));
    ReuseReport report;
    while (!engine.idle()) {
      for (const Event& event : engine.step()) {
        if (event.token) recording.tokens.push_back(*event.token);
        report = event.reuse;
      }
    }
    return report;
  }

  void expect_as_cold(const Tokens& prompt, int answer, const Recording& warm) const {
    Engine engine(model_, options(0));
    Recording cold;
    EXPECT_EQ(run(engine, prompt, answer, cold, {.keep = KeepLevel::none, .reuse = false}).reused_tokens, 0);
    EXPECT_EQ(cold.tokens, warm.tokens);
    expect_same_bits(cold.logits, warm.logits, vocabulary());
  }

  DrawnModel drawn_;
  std::shared_ptr<const Model> model_;
};

TEST_P(StateReuse, TheNextTurnComputesOnlyWhatIsNewAndARetryOnlyTheLastToken) {
  Engine engine(model_, options());
  Tokens chat = random_tokens(90, 3), before;
  for (int turn = 0; turn < 4; ++turn) {
    Recording answer;
    EXPECT_EQ(run(engine, chat, 9, answer).computed_tokens, turn == 0 ? 90 : 1 + 14);
    expect_as_cold(chat, 9, answer);
    before = chat;
    chat.insert(chat.end(), answer.tokens.begin(), answer.tokens.end());
    const Tokens more = random_tokens(14, 50 + static_cast<uint32_t>(turn));
    chat.insert(chat.end(), more.begin(), more.end());
  }
  Recording again;
  EXPECT_EQ(run(engine, before, 9, again).computed_tokens, 1);
  expect_as_cold(before, 9, again);
}

TEST_P(StateReuse, MessagesAndPointsOfDepartureCanBeContinuedFrom) {
  Engine engine(model_, options());
  Tokens prompt = random_tokens(150, 4);
  Recording recording;
  run(engine, prompt, 0, recording, {.boundaries = {40, 100}});
  Tokens other = prompt;
  other[120] = (other[120] + 1) % vocabulary();
  EXPECT_EQ(run(engine, other, 0, recording).reused_tokens, 100) << "the message before where it differs";
  other[120] = (other[120] + 1) % vocabulary();
  const ReuseReport third = run(engine, other, 0, recording);
  EXPECT_EQ(third.reused_tokens, 120) << "where the second departed";
  EXPECT_EQ(third.reason, ReuseReason::differs);
}

TEST_P(StateReuse, WhateverWasLeftAndDroppedGivesTheLogitsOfAColdRun) {
  std::mt19937 random(7);
  const auto below = [&random](int end) { return static_cast<int>(random() % static_cast<uint32_t>(end)); };
  for (const int64_t cache_bytes : {int64_t{0}, int64_t{EngineOptions::kAsMuchAgain}}) {
    Engine engine(model_, options(cache_bytes));
    std::vector<Tokens> known = {random_tokens(130, 1), random_tokens(60, 2)};
    int64_t reused = 0;
    for (int round = 0; round < 14; ++round) {
      Tokens prompt = known[static_cast<size_t>(below(static_cast<int>(known.size())))];
      prompt.resize(static_cast<size_t>(1 + below(static_cast<int>(prompt.size()))));
      const Tokens more = random_tokens(below(30), 100 + static_cast<uint32_t>(round));
      prompt.insert(prompt.end(), more.begin(), more.end());
      Recording warm;
      const ReuseReport report = run(engine, prompt, 5, warm, {.boundaries = {below(static_cast<int>(prompt.size()))}});
      reused += report.reused_tokens;
      EXPECT_LE(engine.stats().kv_used_bytes, engine.stats().kv_bytes);
      expect_as_cold(prompt, 5, warm);
      prompt.insert(prompt.end(), warm.tokens.begin(), warm.tokens.end());
      if (prompt.size() < 300) known.push_back(std::move(prompt));
    }
    EXPECT_GT(reused, cache_bytes == 0 ? -1 : 50);
    EXPECT_EQ(engine.stats().reused_tokens, reused);
  }
}

TEST_P(StateReuse, PromptsThatBeginAlikeAreReadOnce) {
  Engine engine(model_, options(EngineOptions::kAsMuchAgain, 3));
  const Tokens system = random_tokens(120, 5);
  std::vector<Recording> recordings(3);
  std::vector<Tokens> prompts;
  for (uint32_t user = 0; user < 3; ++user) {
    prompts.push_back(system);
    const Tokens own = random_tokens(8 + static_cast<int>(user), 60 + user);
    prompts.back().insert(prompts.back().end(), own.begin(), own.end());
    Request request;
    request.prompt = prompts.back();
    request.max_tokens = 4;
    request.logits_from = static_cast<int>(request.prompt.size()) - 1;
    request.on_logits = [&into = recordings[user]](int, std::span<const float> row) {
      into.logits.insert(into.logits.end(), row.begin(), row.end());
    };
    engine.submit(std::move(request));
  }
  while (!engine.idle()) {
    for (const Event& event : engine.step()) {
      if (event.token) recordings[event.request - 1].tokens.push_back(*event.token);
    }
  }
  EXPECT_EQ(engine.stats().reused_tokens, 2 * 120);
  for (size_t user = 0; user < 3; ++user) expect_as_cold(prompts[user], 4, recordings[user]);
}

TEST_P(StateReuse, ASessionBringsTheStateBack) {
  const TemporaryFolder folder;
  const std::string path = (folder / "session").string();
  Tokens tokens = random_tokens(80, 6);
  {
    Engine engine(model_, options());
    Recording answer;
    run(engine, tokens, 6, answer);
    tokens.insert(tokens.end(), answer.tokens.begin(), answer.tokens.end());
    engine.save_session(path, {tokens, 0, "note"});
  }
  Engine engine(model_, options());
  EXPECT_EQ(engine.restore_session(path).held_tokens, 85) << "the last token was chosen, not computed";
  tokens.push_back(1);
  Recording warm;
  EXPECT_EQ(run(engine, tokens, 6, warm).computed_tokens, 2);
  expect_as_cold(tokens, 6, warm);
}

INSTANTIATE_TEST_SUITE_P(Models, StateReuse, testing::Values("mamba_a1", "mamba2_b1", "jamba_a1"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace fovea
