// Guessed tokens change nothing but the number of steps: on tiny models of several families.
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

struct Output {
  Tokens tokens;
  std::vector<std::pair<float, float>> logprobs;  // of the chosen and of the likeliest
  FinishReason finish = FinishReason::none;
  ReuseReport reuse;
};

// The outputs of requests that run together, in their order.
std::vector<Output> run(Engine& engine, const std::vector<Request>& requests) {
  std::vector<RequestId> ids;
  for (const Request& request : requests) ids.push_back(engine.submit(request));
  std::vector<Output> outputs(requests.size());
  while (!engine.idle()) {
    for (const Event& event : engine.step()) {
      Output& output = outputs[static_cast<size_t>(std::find(ids.begin(), ids.end(), event.request) - ids.begin())];
      EXPECT_EQ(output.finish, FinishReason::none) << "an event after the last";
      if (event.token) output.tokens.push_back(*event.token);
      if (event.logprobs) output.logprobs.emplace_back(event.logprobs->chosen, event.logprobs->top.at(0).second);
      output.finish = event.finished;
      output.reuse = event.reuse;
    }
  }
  return outputs;
}

class PromptLookups : public testing::TestWithParam<const char*> {
 protected:
  PromptLookups() : drawn_(GetParam()), model_(drawn_.load()) {}

  static EngineOptions options(KvCodecs codecs = KvCodec::bf16) {
    EngineOptions options;
    options.context_tokens = 320;
    options.sequences = 3;
    options.chunk_tokens = 64;
    options.threads = 2;
    options.kv_local = options.kv_global = codecs;
    return options;
  }
  // Of a few tokens, over and over: much of what comes stood there before, and went on otherwise about as often.
  Request request(uint32_t seed, float temperature) const {
    std::mt19937 random(seed);
    Request request;
    for (int i = 0; i < 90; ++i) request.prompt.push_back(static_cast<int32_t>(5 + random() % 3));
    request.max_tokens = 120;
    request.sampling.logit_bias = {{5, 60.f}, {6, 60.f}, {7, 60.f}};
    request.sampling.temperature = temperature;
    request.sampling.seed = seed;
    request.sampling.frequency_penalty = 0.02f;
    request.top_logprobs = 1;
    return request;
  }
  static Request with_lookup(Request request, int tokens) {
    request.prompt_lookup = tokens;
    return request;
  }

  DrawnModel drawn_;
  std::shared_ptr<const Model> model_;
};

void expect_same(const Output& expected, const Output& actual) {
  EXPECT_EQ(actual.tokens, expected.tokens);
  EXPECT_EQ(actual.logprobs, expected.logprobs);  // bits: none is NaN
  EXPECT_EQ(actual.finish, expected.finish);
}

TEST_P(PromptLookups, GiveTheSameTokensInFewerSteps) {
  for (const KvCodecs codecs : {KvCodecs(KvCodec::bf16), KvCodecs(KvCodec::int8, KvCodec::tq3)}) {
    for (const float temperature : {0.f, 1.f}) {
      Engine plain(model_, options(codecs)), guessing(model_, options(codecs));
      const Output expected = run(plain, {request(1, temperature)}).front();
      expect_same(expected, run(guessing, {with_lookup(request(1, temperature), 8)}).front());
      const EngineStats stats = guessing.stats();
      EXPECT_GT(stats.guessed_right, 0);
      EXPECT_LE(stats.guessed_right, stats.guessed_tokens);
      EXPECT_EQ(stats.steps + stats.guessed_right, plain.stats().steps);
      EXPECT_EQ(stats.decode_tokens, plain.stats().decode_tokens);
    }
  }
}

TEST_P(PromptLookups, WrongGuessesAreMadeAndTakenBack) {
  Engine engine(model_, options());
  run(engine, {with_lookup(request(2, 1), 8)});
  EXPECT_LT(engine.stats().guessed_right, engine.stats().guessed_tokens);
}

TEST_P(PromptLookups, AmongOthersNothingChangesEither) {
  Engine plain(model_, options()), guessing(model_, options());
  std::vector<Request> requests = {request(3, 1), request(4, 0), request(5, 1)};
  const std::vector<Output> expected = run(plain, requests);
  requests[0].prompt_lookup = 32;
  requests[1].prompt_lookup = 4;
  const std::vector<Output> actual = run(guessing, requests);
  for (size_t i = 0; i < expected.size(); ++i) expect_same(expected[i], actual[i]);
  EXPECT_GT(guessing.stats().guessed_right, 0);
}

TEST_P(PromptLookups, StopTokensEndInTheMiddleOfAGuess) {
  Engine plain(model_, options()), guessing(model_, options());
  for (uint32_t seed = 1; seed < 8; ++seed) {
    Request one = request(seed, 1);
    one.sampling.logit_bias.emplace_back(9, 56.f);
    one.stop_tokens = {9};
    expect_same(run(plain, {one}).front(), run(guessing, {with_lookup(one, 8)}).front());
  }
}

TEST_P(PromptLookups, LeaveInTheCacheWhatWasSaidAndNothingElse) {
  Engine guessing(model_, options());
  const Request first = request(6, 1);
  const Output output = run(guessing, {with_lookup(first, 8)}).front();
  Request next = request(7, 1);
  next.prompt = first.prompt;
  next.prompt.insert(next.prompt.end(), output.tokens.begin(), output.tokens.end());
  next.max_tokens = 40;
  Engine fresh(model_, options());
  const Output again = run(guessing, {next}).front();
  expect_same(run(fresh, {next}).front(), again);
  EXPECT_GE(again.reuse.reused_tokens, static_cast<int>(next.prompt.size()) - 17);
}

INSTANTIATE_TEST_SUITE_P(Families, PromptLookups, testing::Values("gemma3_a1", "llama_a1", "gemma4_a1", "deepseek_v2_a1", "gpt_oss_a1"),
                         [](const auto& param) { return std::string(param.param); });

TEST(PromptLookup, DoesNothingWhereLayersCarryAState) {
  const DrawnModel drawn("mamba2_a1");
  EngineOptions options;
  options.context_tokens = 128;
  Engine engine(drawn.load(), options);
  Request request;
  for (int i = 0; i < 60; ++i) request.prompt.push_back(5 + i % 3);
  request.max_tokens = 40;
  request.prompt_lookup = 8;
  run(engine, {request});
  EXPECT_EQ(engine.stats().guessed_tokens, 0);
}

}  // namespace
}  // namespace fovea
