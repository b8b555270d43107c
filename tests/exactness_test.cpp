// Logits do not depend on how a prompt was chunked, on threads, on other sequences, or on whether a token was
// read or written: bit for bit, for each instruction set and codec. On tiny models; exactness_real_test.cpp
// has a real one.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "fovea/engine.h"
#include "support/drawn_model.h"
#include "support/kernel_sets.h"
#include "support/oracle_case.h"
#include "support/own_process.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;

constexpr int kTokens = 300;  // dozens of windows, several attention spans
constexpr int kContext = 400;

std::vector<int32_t> random_tokens(int count, int vocabulary, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % static_cast<uint32_t>(vocabulary));
  return tokens;
}

struct Form {
  std::string model;
  std::string kernels;
  KvCodecs codec;
};
std::ostream& operator<<(std::ostream& out, const Form& form) {
  return out << form.model << "_" << form.kernels << "_" << name_of(form.codec.keys) << "_" << name_of(form.codec.values);
}

bool is_one_of(const KvCodecs& codecs, std::initializer_list<KvCodec> some) {
  return std::find(some.begin(), some.end(), codecs.keys) != some.end();
}

std::vector<Form> forms() {
  std::vector<Form> all;
  for (const char* model : {"gemma3", "gemma3_odd_untied", "llama3", "gemma4_b1"}) {
    for (const std::string& kernels : supported_kernels()) {
      for (const KvCodecs codec : {KvCodecs(KvCodec::f32), KvCodecs(KvCodec::f16), KvCodecs(KvCodec::bf16), KvCodecs(KvCodec::int8),
                                   KvCodecs(KvCodec::tq3, KvCodec::fp8), KvCodecs(KvCodec::int4, KvCodec::tq2)}) {
        if (std::string(model) == "gemma4_b1" &&
            !(kernels == "scalar" ? is_one_of(codec, {KvCodec::bf16}) : is_one_of(codec, {KvCodec::f16, KvCodec::bf16, KvCodec::int4}))) {
          continue;  // the slowest; int4 keeps its newest tokens apart as well
        }
        // Sanitizers look at addresses, and take a minute for scalar kernels: one model of all codecs will do.
        if (kSanitized && kernels == "scalar" && std::string(model) != "gemma3") continue;
        all.push_back({model, kernels, codec});
      }
    }
  }
  return all;
}

class Exactness : public testing::TestWithParam<Form> {
 protected:
  void SetUp() override {
    LoadOptions load;
    load.kernels = GetParam().kernels;
    model_ = load_tiny(GetParam().model, load);
    prompt_ = random_tokens(kTokens, vocabulary(), 1);
  }

  int vocabulary() const { return model_->facts().vocabulary; }
  EngineOptions options(int chunk_tokens, int threads, int sequences = 1) const {
    EngineOptions options;
    options.context_tokens = kContext;
    options.sequences = sequences;
    options.chunk_tokens = chunk_tokens;
    options.threads = threads;
    options.kv_local = options.kv_global = GetParam().codec;
    return options;
  }
  std::vector<float> alone() const { return run_alone(model_, options(64, 1), prompt_).logits; }

  // All four at once: the prompt, and around it sequences of other lengths that go on to generate.
  Recording among_others(const EngineOptions& wanted) const {
    Engine engine(model_, wanted);
    Recording result;
    std::vector<Recording> others(3);
    engine.submit(recorded(random_tokens(5, vocabulary(), 2), 60, others[0]));
    engine.submit(recorded(random_tokens(131, vocabulary(), 3), 9, others[1]));
    engine.submit(recorded(prompt_, 0, result));
    engine.submit(recorded(random_tokens(37, vocabulary(), 4), 30, others[2]));
    while (!engine.idle()) engine.step();
    return result;
  }

  std::shared_ptr<const Model> model_;
  std::vector<int32_t> prompt_;
};

TEST_P(Exactness, LogitsDoNotDependOnChunkSize) {
  const std::vector<float> expected = alone();
  for (const int chunk : {1, 7, 64, 512, kTokens}) {
    SCOPED_TRACE(chunk);
    expect_same_bits(expected, run_alone(model_, options(chunk, 2), prompt_).logits, vocabulary());
  }
}

TEST_P(Exactness, LogitsDoNotDependOnThreads) {
  const std::vector<float> expected = alone();
  for (const int threads : {1, 2, 3}) {
    SCOPED_TRACE(threads);
    expect_same_bits(expected, run_alone(model_, options(96, threads), prompt_).logits, vocabulary());
  }
}

TEST_P(Exactness, LogitsDoNotDependOnOtherSequences) {
  const std::vector<float> expected = alone();
  for (const int chunk : {3, 50, 512}) {
    SCOPED_TRACE(chunk);
    expect_same_bits(expected, among_others(options(chunk, 2, 4)).logits, vocabulary());
  }
  // Two may run at a time: the prompt waits, and takes over what another gave back.
  expect_same_bits(expected, among_others(options(50, 2, 2)).logits, vocabulary());
}

TEST_P(Exactness, GeneratingATokenIsReadingIt) {
  const std::vector<int32_t> beginning(prompt_.begin(), prompt_.begin() + 201);
  const Recording written = run_alone(model_, options(64, 2), beginning, 100);
  std::vector<int32_t> all = beginning;
  all.insert(all.end(), written.tokens.begin(),
             written.tokens.end() - 1);  // the last was chosen, not computed
  expect_same_bits(run_alone(model_, options(64, 1), all).logits, written.logits, vocabulary());
}

TEST_P(Exactness, AnotherTokenShows) {
  const std::vector<float> expected = alone();
  prompt_[150] = (prompt_[150] + 1) % vocabulary();
  const std::vector<float> changed = alone();
  const size_t before = size_t{150} * static_cast<size_t>(vocabulary());
  EXPECT_TRUE(std::equal(expected.begin(), expected.begin() + static_cast<ptrdiff_t>(before), changed.begin()));
  EXPECT_FALSE(
      std::equal(expected.begin() + static_cast<ptrdiff_t>(before), expected.end(), changed.begin() + static_cast<ptrdiff_t>(before)));
}

INSTANTIATE_TEST_SUITE_P(Forms, Exactness, testing::ValuesIn(forms()), testing::PrintToStringParamName());

}  // namespace
}  // namespace fovea
