// A conversation as people have it, on the real model: next turns, retries, edits, branches, other users with
// the same system prompt, other conversations in between. Everything that was computed once and can still be
// told from its tokens is expected to be found again, within four times the bytes of the conversation's own
// cache.
//
// Two tests: what is computed, stage by stage, beside what an unbounded cache of everything seen would
// compute (the table on stdout); and that the logits of each stage equal those of a cold run, byte for byte.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "fovea/engine.h"
#include "support/real_model.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;

using Tokens = std::vector<int32_t>;

constexpr int kSystem = 6'000, kUser = 60, kAnswer = 96, kTurns = 8;
constexpr int kOthers = 10, kOther = 1'500;
constexpr int kCut = 40;
constexpr double kMostOverIdeal = 1.05;

int common(const Tokens& a, const Tokens& b) {
  const auto most = static_cast<ptrdiff_t>(std::min(a.size(), b.size()));
  return static_cast<int>(std::mismatch(a.begin(), a.begin() + most, b.begin()).first - a.begin());
}

// A text in turns, and where its messages begin.
struct Chat {
  Tokens tokens;
  std::vector<int> messages;

  Chat with(const Tokens& message) const {
    Chat longer = *this;
    longer.messages.push_back(static_cast<int>(tokens.size()));
    longer.tokens.insert(longer.tokens.end(), message.begin(), message.end());
    return longer;
  }
  Chat first(int count) const {
    Chat shorter = {{tokens.begin(), tokens.begin() + count}, messages};
    std::erase_if(shorter.messages, [count](int begin) { return begin >= count; });
    return shorter;
  }
};

struct Stage {
  std::string name;
  int64_t prompt = 0, computed = 0, ideal = 0;
  std::string report;
};

int64_t plain_cache_bytes(const ModelFacts& facts, int tokens) {
  int64_t bytes = 0;
  for (const LayerFacts& layer : facts.layers) {
    bytes += layer.cache_bytes_per_token * std::min(tokens, layer.window.value_or(tokens));
  }
  return bytes;
}

class Conversation : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = kGemma.path();
    if (!path) GTEST_SKIP() << kNoModel << kGemma.variable;
    model_ = Model::load(*path);
    text_ = model_->tokenize(novel());
    EngineOptions options;
    options.context_tokens = 8'192;
    options.threads = 2;
    options.cache_bytes = 0;
    cold_ = std::make_unique<Engine>(model_, options);
    budget_ = 4 * plain_cache_bytes(model_->facts(), kSystem + kTurns * (kUser + kAnswer));
    options.cache_bytes = budget_ - cold_->stats().kv_bytes;
    warm_ = std::make_unique<Engine>(model_, options);
    ASSERT_LE(warm_->stats().kv_bytes, budget_);
  }

  // Fresh text, never given out before.
  Tokens message(int count) {
    const auto begin = text_.begin() + used_;
    used_ += count;
    return {begin, begin + count};
  }

  Request request_for(const Chat& chat, int answer, Recording& recording) const {
    Request request;
    request.prompt = chat.tokens;
    request.max_tokens = answer;
    request.cache.boundaries = chat.messages;
    request.logits_from = static_cast<int>(chat.tokens.size()) - 1;
    request.on_logits = [&recording](int, std::span<const float> row) {
      recording.logits.insert(recording.logits.end(), row.begin(), row.end());
    };
    return request;
  }

  // Asks, and returns the chat with the answer.
  Chat ask(const std::string& name, const Chat& chat, int answer = kAnswer) {
    Recording warm;
    const RequestId id = warm_->submit(request_for(chat, answer, warm));
    ReuseReport report;
    while (!warm_->idle()) {
      for (const Event& event : warm_->step()) {
        EXPECT_EQ(event.request, id);
        if (event.token) warm.tokens.push_back(*event.token);
        report = event.reuse;
      }
      EXPECT_LE(warm_->stats().kv_used_bytes, budget_);
    }
    count(name, chat, report);
    const Chat answered = chat.with(warm.tokens);
    seen_.push_back({answered.tokens.begin(), answered.tokens.end() - 1});  // the last was chosen and not computed
    if (compare_ && ++asked_[name] <= 2) expect_as_cold(chat, answer, warm);
    return answered;
  }

  void count(const std::string& name, const Chat& chat, const ReuseReport& report) {
    int known = 0;
    for (const Tokens& seen : seen_) known = std::max(known, common(seen, chat.tokens));
    const int length = static_cast<int>(chat.tokens.size());
    EXPECT_EQ(report.prompt_tokens, length);
    if (stages_.empty() || stages_.back().name != name) stages_.push_back({name, 0, 0, 0, ""});
    Stage& stage = stages_.back();
    stage.prompt += length;
    stage.computed += report.computed_tokens;
    stage.ideal += length - std::min(known, length - 1);
    stage.report = text_of(report);
  }

  void expect_as_cold(const Chat& chat, int answer, const Recording& warm) {
    SCOPED_TRACE(stages_.back().name);
    Recording cold;
    Request request = request_for(chat, answer, cold);
    request.cache = {.keep = KeepLevel::none, .reuse = false};
    // Reading the answer computes what writing it computed, at many times the speed.
    request.prompt.insert(request.prompt.end(), warm.tokens.begin(), warm.tokens.end() - 1);
    request.max_tokens = 0;
    cold_->generate(std::move(request), {});
    expect_same_bits(cold.logits, warm.logits, model_->facts().vocabulary);
  }

  void hold() {
    const int answer = compare_ ? 8 : kAnswer;  // of those that are not built upon
    Chat chat = {message(kSystem), {}};
    const Chat system = chat;
    chat = ask("first turn", chat.with(message(kUser)));
    for (int turn = 2; turn <= kTurns; ++turn) chat = ask("next turn", chat.with(message(kUser)));
    const int last_answer = kSystem + kTurns * (kUser + kAnswer) - kAnswer;

    ask("regenerate", chat.first(last_answer));
    ask("one-token retry", chat.first(last_answer + kAnswer - 1), 1);
    ask("edited last user turn", chat.first(last_answer - kUser).with(message(kUser)), answer);
    Chat cut = chat.first(last_answer + (kAnswer - kCut) / 2);
    cut.tokens.insert(cut.tokens.end(), chat.tokens.end() - (kAnswer - kCut) / 2, chat.tokens.end());
    ask("40 tokens cut out", cut.with(message(kUser)), answer);
    ask("branch at turn 3", chat.first(kSystem + 3 * (kUser + kAnswer)).with(message(kUser)), answer);
    Chat second = ask("second user", system.with(message(kUser)));
    chat = ask("back to the first", chat.with(message(kUser)));
    for (int other = 0; other < kOthers; ++other) ask("ten other conversations", Chat{message(kOther), {}}, answer);
    chat = ask("return", chat.with(message(kUser)), answer);
    ask("second user again", second.with(message(kUser)), answer);
    Chat edited = system.with(message(kUser));
    edited.tokens[kSystem / 2] = edited.tokens[kSystem / 2] == 1'000 ? 1'001 : 1'000;
    ask("edit inside the system prompt", edited, answer);
  }

  Stage total() const {
    Stage sum = {"all", 0, 0, 0, ""};
    for (const Stage& stage : stages_) {
      sum.prompt += stage.prompt;
      sum.computed += stage.computed;
      sum.ideal += stage.ideal;
    }
    return sum;
  }

  void print() const {
    std::printf("budget %ld bytes; prompt, computed and ideal in tokens\n", static_cast<long>(budget_));
    std::printf("%-30s %8s %8s %8s\n", "stage", "prompt", "computed", "ideal");
    std::vector<Stage> all = stages_;
    all.push_back(total());
    for (const Stage& stage : all) {
      std::printf("%-30s %8ld %8ld %8ld  %s\n", stage.name.c_str(), static_cast<long>(stage.prompt), static_cast<long>(stage.computed),
                  static_cast<long>(stage.ideal), stage.report.c_str());
    }
  }

  std::shared_ptr<const Model> model_;
  Tokens text_;
  int used_ = 0;
  int64_t budget_ = 0;
  bool compare_ = false;
  std::map<std::string, int> asked_;  // stages that are repeated are compared twice
  std::unique_ptr<Engine> warm_, cold_;
  std::vector<Tokens> seen_;
  std::vector<Stage> stages_;
};

TEST_F(Conversation, NothingIsComputedTwiceWithinFourTimesItsOwnBytes) {
  hold();
  print();
  EXPECT_LE(static_cast<double>(total().computed), kMostOverIdeal * static_cast<double>(total().ideal));
}

TEST_F(Conversation, EveryStageGivesTheLogitsOfAColdRun) {
  compare_ = true;
  hold();
}

}  // namespace
}  // namespace fovea
