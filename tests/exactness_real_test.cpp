// Bit for bit on Gemma 3 270M, whose window is 512: chunk sizes, threads and other sequences do not show.
//
// Two depths. A text of 3,000 tokens through the forward pass: the last layer's output of every position, and
// the logits of every 97th and of the last. A text of 600 tokens, longer than the window, through the public
// engine: all logits. The scalar kernels, hundreds of times slower, read a few tokens.
#include <gtest/gtest.h>

#include "fovea/engine.h"
#include "support/forward_trace.h"
#include "support/kernel_sets.h"
#include "support/real_model.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;

class ExactnessReal : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const auto path = kGemma.path();
    if (!path) GTEST_SKIP() << kNoModel << kGemma.variable;
    LoadOptions load;
    load.kernels = GetParam();
    model_ = Model::load(*path, load);
    text_ = model_->tokenize(novel());
    ASSERT_GT(text_.size(), 20'000u);
  }

  bool slow() const { return GetParam() == "scalar"; }
  std::span<const int32_t> tokens(int begin, int count) const {
    return std::span(text_).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
  }
  void expect_same(const Trace& expected, const TracePlan& plan, int count) const {
    const Trace actual = ForwardTracer(model_, plan, tokens(0, count)).run();
    expect_same_bits(expected.hidden, actual.hidden, model_->facts().hidden);
    expect_same_bits(expected.logits, actual.logits, model_->facts().vocabulary);
  }

  std::shared_ptr<const Model> model_;
  std::vector<int32_t> text_;
};

TEST_P(ExactnessReal, ThreeThousandTokensComputeTheSameHoweverTheyAreRead) {
  const int count = slow() ? 9 : 3'000;
  const Trace expected = ForwardTracer(model_, {}, tokens(0, count)).run();
  ASSERT_EQ(expected.hidden.size(), static_cast<size_t>(count) * static_cast<size_t>(model_->facts().hidden));
  for (const int chunk : {1, 7, 64, 3'000}) {
    if (chunk / 4 > count) continue;
    SCOPED_TRACE(testing::Message() << "chunks of " << chunk);
    TracePlan plan;
    plan.chunk_tokens = std::min(chunk, count);
    expect_same(expected, plan, count);
  }
  {
    SCOPED_TRACE("one thread");
    TracePlan plan;
    plan.threads = 1;
    expect_same(expected, plan, count);
  }
  {
    SCOPED_TRACE("other sequences in each batch");
    TracePlan plan;
    plan.chunk_tokens = slow() ? 4 : 320;
    plan.companions = {tokens(5'000, count / 4), tokens(9'000, count / 300), tokens(12'000, count / 2)};
    plan.companion_chunks = {slow() ? 1 : 50, 1, slow() ? 2 : 130};
    expect_same(expected, plan, count);
  }
}

TEST_P(ExactnessReal, EngineGivesTheSameLogitsHoweverItReads) {
  if (slow()) GTEST_SKIP() << "the forward pass above covers it; this many logits would take minutes";
  constexpr int kCount = 600;
  const std::vector<int32_t> prompt(text_.begin(), text_.begin() + kCount);
  EngineOptions options;
  options.context_tokens = 1024;
  options.threads = 2;
  const std::vector<float> expected = run_alone(model_, options, prompt).logits;
  const int vocabulary = model_->facts().vocabulary;
  for (const int chunk : {1, 7, 64, 600}) {
    SCOPED_TRACE(testing::Message() << "chunks of " << chunk);
    options.chunk_tokens = chunk;
    options.threads = chunk == 64 ? 1 : 2;
    expect_same_bits(expected, run_alone(model_, options, prompt).logits, vocabulary);
  }

  SCOPED_TRACE("other sequences beside it");
  options.chunk_tokens = 200;
  options.sequences = 4;
  Engine engine(model_, options);
  Recording recording;
  for (const int length : {20, 333}) {
    Request other;
    other.prompt.assign(text_.begin() + 4'000, text_.begin() + 4'000 + length);
    other.max_tokens = 8;
    engine.submit(std::move(other));
  }
  engine.submit(recorded(prompt, 0, recording));
  Request last;
  last.prompt.assign(text_.begin() + 7'000, text_.begin() + 7'777);
  engine.submit(std::move(last));
  while (!engine.idle()) engine.step();
  expect_same_bits(expected, recording.logits, vocabulary);
}

INSTANTIATE_TEST_SUITE_P(Kernels, ExactnessReal, testing::ValuesIn(supported_kernels()), [](const auto& each) { return each.param; });

}  // namespace
}  // namespace fovea
