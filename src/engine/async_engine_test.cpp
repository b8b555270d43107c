// Requests among others, cancelled and late ones: on tiny models, under ThreadSanitizer too.
#include "fovea/async_engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <random>
#include <thread>

#include "support/oracle_case.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;

using Tokens = std::vector<int32_t>;

// What became of one request.
struct Answer {
  Recording recording;
  FinishReason finished = FinishReason::none;
  ReuseReport reuse;
  std::string problem;
  int ends = 0;
};

// Collects events; wait() until the request is over.
class Collector {
 public:
  AsyncEngine::Sink sink() {
    return [this](const Event& event) {
      if (event.token) answer_.recording.tokens.push_back(*event.token);
      answer_.reuse = event.reuse;
      if (event.finished == FinishReason::none) return;
      answer_.finished = event.finished;
      if (event.error) answer_.problem = problem_of(event.error);
      if (++answer_.ends == 1) over_.set_value();
    };
  }
  LogitsSink logits() {
    return [this](int, std::span<const float> row) {
      answer_.recording.logits.insert(answer_.recording.logits.end(), row.begin(), row.end());
    };
  }
  const Answer& wait() {
    if (over_future_.valid()) over_future_.get();
    return answer_;
  }

 private:
  static std::string problem_of(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  Answer answer_;
  std::promise<void> over_;
  std::future<void> over_future_ = over_.get_future();
};

class AsyncEngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    LoadOptions load;
    load.threads = 1;
    model_ = Model::load((kOracle / "gemma3").string(), load);
  }
  static void TearDownTestSuite() { model_.reset(); }

  static int vocabulary() { return model_->facts().vocabulary; }
  static EngineOptions options(int sequences, int chunk = 64) {
    EngineOptions options;
    options.context_tokens = 512;
    options.sequences = sequences;
    options.chunk_tokens = chunk;
    options.threads = 2;
    return options;
  }
  static Tokens random_tokens(int count, uint32_t seed) {
    std::mt19937 random(seed);
    Tokens tokens(static_cast<size_t>(count));
    for (int32_t& token : tokens) token = static_cast<int32_t>(random() % static_cast<uint32_t>(vocabulary()));
    return tokens;
  }
  static Request request(Tokens prompt, int max_tokens) {
    Request request;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    return request;
  }
  // Logits of the last token of the prompt and of what is generated.
  static Request watched(Tokens prompt, int max_tokens, Collector& collector) {
    Request watched = request(std::move(prompt), max_tokens);
    watched.logits_from = static_cast<int>(watched.prompt.size()) - 1;
    watched.on_logits = collector.logits();
    return watched;
  }
  static Answer alone(const Request& wanted) {
    EngineOptions cold = options(1);
    cold.cache_bytes = 0;
    AsyncEngine engine(model_, cold);
    Collector collector;
    Request request = wanted;
    if (request.on_logits) request.on_logits = collector.logits();
    engine.submit(std::move(request), collector.sink());
    return collector.wait();
  }

  inline static std::shared_ptr<const Model> model_;
};

TEST_F(AsyncEngineTest, AnAnswerIsTheSameBytesAloneAndAmongOthers) {
  const Tokens shared = random_tokens(90, 1);
  for (const auto& [sequences, chunk] : {std::pair(1, 64), std::pair(3, 16), std::pair(8, 7), std::pair(12, 200)}) {
    SCOPED_TRACE(chunk);
    AsyncEngine engine(model_, options(sequences, chunk));
    std::vector<Collector> collectors(12);
    std::vector<Request> requests;
    for (uint32_t i = 0; i < collectors.size(); ++i) {
      Tokens prompt = i % 3 == 0 ? shared : Tokens{};
      const Tokens own = random_tokens(1 + static_cast<int>(i * i), 10 + i);
      prompt.insert(prompt.end(), own.begin(), own.end());
      requests.push_back(watched(std::move(prompt), 3 + static_cast<int>(i) * 2, collectors[i]));
      if (i % 2) requests.back().sampling = {.presence_penalty = 0.5f, .temperature = 0.9f, .top_p = 0.95f, .seed = i};
      const RequestId noise = engine.submit(request(random_tokens(70, 100 + i), 50), [](const Event&) {});
      engine.submit(requests.back(), collectors[i].sink());
      engine.cancel(noise);
    }
    for (size_t i = 0; i < collectors.size(); ++i) {
      SCOPED_TRACE(i);
      const Answer& among = collectors[i].wait();
      const Answer expected = alone(requests[i]);
      EXPECT_EQ(among.finished, FinishReason::length);
      EXPECT_EQ(among.recording.tokens, expected.recording.tokens);
      expect_same_bits(expected.recording.logits, among.recording.logits, vocabulary());
    }
  }
}

TEST_F(AsyncEngineTest, WhatAllHaveInCommonIsComputedOnce) {
  AsyncEngine engine(model_, options(8, 32));
  const Tokens shared = random_tokens(300, 2);
  std::vector<Collector> collectors(16);
  std::promise<void> go;
  engine.between_steps([gate = go.get_future().share()](Engine&) { gate.wait(); });
  int own_tokens = 0;
  for (uint32_t i = 0; i < collectors.size(); ++i) {
    Tokens prompt = shared;
    const Tokens own = random_tokens(20, 50 + i);
    own_tokens += 20;
    prompt.insert(prompt.end(), own.begin(), own.end());
    engine.submit(request(std::move(prompt), 2), collectors[i].sink());
  }
  go.set_value();
  int computed = 0;
  for (Collector& collector : collectors) computed += collector.wait().reuse.computed_tokens;
  EXPECT_LE(computed, (300 + own_tokens) * 1.05);
}

TEST_F(AsyncEngineTest, WhatAVisitorHoldsIsLetGoWhenItHasVisited) {
  AsyncEngine engine(model_, options(1));
  std::promise<void> gone;
  std::future<void> is_gone = gone.get_future();
  std::shared_ptr<void> held(nullptr, [&](void*) { gone.set_value(); });
  engine.between_steps([held = std::move(held)](Engine&) {});
  EXPECT_EQ(is_gone.wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

TEST_F(AsyncEngineTest, CancelledRequestsEndOnceWhereverTheyAre) {
  AsyncEngine engine(model_, options(2, 16));
  std::vector<Collector> collectors(20);
  std::vector<RequestId> ids;
  for (uint32_t i = 0; i < collectors.size(); ++i) {
    ids.push_back(engine.submit(request(random_tokens(100, i), 400), collectors[i].sink()));
  }
  for (const RequestId id : ids) engine.cancel(id);
  for (const RequestId id : ids) engine.cancel(id);
  for (Collector& collector : collectors) EXPECT_EQ(collector.wait().finished, FinishReason::cancelled);
  Collector after;
  engine.submit(request(random_tokens(30, 99), 5), after.sink());
  EXPECT_EQ(after.wait().recording.tokens, alone(request(random_tokens(30, 99), 5)).recording.tokens);
  EXPECT_EQ(engine.active(), 0);
  for (Collector& collector : collectors) EXPECT_EQ(collector.wait().ends, 1);
}

TEST_F(AsyncEngineTest, AFullQueueRefusesWithTheNumbers) {
  AsyncEngine engine(model_, options(1), {.most_waiting = 2});
  std::vector<Collector> collectors(3);
  std::vector<RequestId> ids;
  std::promise<void> go;
  engine.between_steps([gate = go.get_future().share()](Engine&) { gate.wait(); });
  for (Collector& collector : collectors) ids.push_back(engine.submit(request({1, 2, 3}, 1), collector.sink()));
  try {
    engine.submit(request({1}, 1), [](const Event&) {});
    ADD_FAILURE() << "a fourth request was taken";
  } catch (const QueueFull& full) {
    EXPECT_NE(full.problem().find("1 requests run and 2 wait"), std::string::npos) << full.what();
  }
  go.set_value();
  for (Collector& collector : collectors) EXPECT_EQ(collector.wait().finished, FinishReason::length);
}

TEST_F(AsyncEngineTest, WhatCanNeverRunIsRefusedAtOnceWithTheNumbers) {
  AsyncEngine engine(model_, options(1));
  try {
    engine.submit(request(random_tokens(500, 1), 100), [](const Event&) {});
    ADD_FAILURE() << "it was taken";
  } catch (const Error& error) {
    EXPECT_NE(error.problem().find("500 prompt tokens and 99 to generate do not fit the context of 512"), std::string::npos);
  }
  Request heated = request({1}, 1);
  heated.sampling.temperature = -1;
  EXPECT_THROW(engine.submit(heated, [](const Event&) {}), Error);
  EXPECT_EQ(engine.active(), 0);
}

TEST_F(AsyncEngineTest, ADeadlineEndsARequestThatRunsAndOneThatWaits) {
  AsyncEngine engine(model_, options(1, 16));
  Collector running, waiting;
  const auto now = std::chrono::steady_clock::now();
  engine.submit(request(random_tokens(10, 1), 500), running.sink(), now);
  engine.submit(request(random_tokens(10, 2), 500), waiting.sink(), now);
  EXPECT_EQ(running.wait().finished, FinishReason::expired);
  EXPECT_EQ(waiting.wait().finished, FinishReason::expired);
}

TEST_F(AsyncEngineTest, OneRequestsFailureIsNobodyElses) {
  AsyncEngine engine(model_, options(2));
  Request nothing_left = request(random_tokens(20, 1), 10);
  for (int32_t token = 0; token < vocabulary(); ++token) nothing_left.sampling.logit_bias.emplace_back(token, -INFINITY);
  Collector failing, other;
  engine.submit(nothing_left, failing.sink());
  engine.submit(request(random_tokens(30, 2), 20), other.sink());
  EXPECT_EQ(failing.wait().finished, FinishReason::failed);
  EXPECT_NE(failing.wait().problem.find("no token is left"), std::string::npos);
  EXPECT_EQ(other.wait().recording.tokens, alone(request(random_tokens(30, 2), 20)).recording.tokens);
}

TEST_F(AsyncEngineTest, DestructionEndsWhatIsLeft) {
  std::vector<Collector> collectors(5);
  {
    AsyncEngine engine(model_, options(2, 16));
    for (Collector& collector : collectors) engine.submit(request(random_tokens(50, 3), 400), collector.sink());
  }
  for (Collector& collector : collectors) EXPECT_EQ(collector.wait().finished, FinishReason::cancelled);
}

TEST_F(AsyncEngineTest, CallersOnManyThreadsGetTheirOwnAnswers) {
  AsyncEngine engine(model_, options(4, 16), {.most_waiting = 1000});
  std::vector<Tokens> expected;
  for (uint32_t kind = 0; kind < 4; ++kind) {
    expected.push_back(alone(request(random_tokens(20 + 10 * static_cast<int>(kind), kind), 8)).recording.tokens);
  }
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (uint32_t caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      std::mt19937 random(caller);
      for (int i = 0; i < 10; ++i) {
        const uint32_t kind = random() % 4;
        Collector collector;
        const RequestId id = engine.submit(request(random_tokens(20 + 10 * static_cast<int>(kind), kind), 8), collector.sink());
        const bool gives_up = random() % 3 == 0;
        if (gives_up) engine.cancel(id);
        const Answer& answer = collector.wait();
        if (answer.finished == FinishReason::length ? answer.recording.tokens != expected[kind] : !gives_up) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(engine.active(), 0);
}

TEST_F(AsyncEngineTest, LogprobsAreThoseOfTheLogits) {
  AsyncEngine engine(model_, options(1));
  Collector collector;
  Request wanted = watched(random_tokens(20, 4), 6, collector);
  wanted.sampling.temperature = 2;
  wanted.top_logprobs = 3;
  std::vector<TokenLogprobs> found;
  engine.submit(wanted, [&found, sink = collector.sink()](const Event& event) {
    if (event.logprobs) found.push_back(*event.logprobs);
    sink(event);
  });
  const Recording& recording = collector.wait().recording;
  ASSERT_EQ(found.size(), recording.tokens.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const std::span<const float> row(recording.logits.data() + i * static_cast<size_t>(vocabulary()), static_cast<size_t>(vocabulary()));
    double sum = 0;
    for (const float logit : row) sum += std::exp(static_cast<double>(logit));
    EXPECT_NEAR(found[i].chosen, row[static_cast<size_t>(recording.tokens[i])] - std::log(sum), 1e-4);
    ASSERT_EQ(found[i].top.size(), 3u);
    EXPECT_EQ(found[i].top[0].first, std::max_element(row.begin(), row.end()) - row.begin());
  }
}

// Ids of requests in the order in which they began, on one engine stepped by hand.
class SchedulerOrder : public AsyncEngineTest {
 protected:
  struct Wanted {
    int prompt_tokens;
    int priority = 0;
    int owner = 0;
    std::string salt = {};
  };
  // Positions in `wanted`, in the order of their first tokens.
  static std::vector<size_t> first_tokens(Engine& engine, const std::vector<Wanted>& wanted, int max_tokens = 4) {
    std::vector<RequestId> ids;
    for (const Wanted& one : wanted) {
      Request next = request(random_tokens(one.prompt_tokens, static_cast<uint32_t>(ids.size()) + 1), max_tokens);
      next.priority = one.priority;
      next.owner = one.owner;
      next.cache.salt = one.salt;
      ids.push_back(engine.submit(std::move(next)));
    }
    std::vector<size_t> order;
    while (!engine.idle()) {
      for (const Event& event : engine.step()) {
        const auto at = static_cast<size_t>(std::find(ids.begin(), ids.end(), event.request) - ids.begin());
        if (std::find(order.begin(), order.end(), at) == order.end()) order.push_back(at);
      }
    }
    return order;
  }
};

TEST_F(SchedulerOrder, HigherPriorityStartsFirst) {
  Engine engine(model_, options(1));
  EXPECT_EQ(first_tokens(engine, {{10}, {10, 1}, {10, 5}, {10, 1}}), (std::vector<size_t>{2, 1, 3, 0}));
}

TEST_F(SchedulerOrder, AnOwnerOfManyRequestsDoesNotKeepAnotherWaiting) {
  Engine engine(model_, options(2));
  EXPECT_EQ(first_tokens(engine, {{10, 0, 1}, {10, 0, 1}, {10, 0, 1}, {10, 0, 2}})[1], 3u);
}

TEST_F(SchedulerOrder, SaltsMakeNobodyAnother) {
  Engine engine(model_, options(2));
  EXPECT_EQ(first_tokens(engine, {{10, 0, 1, "a"}, {10, 0, 1, "b"}, {10, 0, 1, "c"}, {10, 0, 2, "a"}})[1], 3u);
}

TEST_F(SchedulerOrder, AShortPromptDoesNotWaitForALongOne) {
  Engine engine(model_, options(2, 32));
  EXPECT_EQ(first_tokens(engine, {{400}, {10}}).front(), 1u);
}

TEST_F(SchedulerOrder, WhoGeneratesGetsATokenFromEveryStep) {
  Engine engine(model_, options(2, 32));
  const RequestId writer = engine.submit(request(random_tokens(5, 1), 40));
  engine.step();
  engine.submit(request(random_tokens(400, 2), 1));
  for (int step = 0; step < 12; ++step) {
    const std::vector<Event> events = engine.step();
    EXPECT_TRUE(std::any_of(events.begin(), events.end(), [&](const Event& event) { return event.request == writer; })) << step;
  }
}

}  // namespace
}  // namespace fovea
