// Logits and greedy continuations of tiny models against the reference implementation, through the public
// engine.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "fovea/engine.h"
#include "support/kernel_sets.h"
#include "support/oracle_case.h"
#include "support/recording.h"
#include "support/temporary_folder.h"

namespace fovea {
namespace {

using namespace testing_support;
using nlohmann::json;

constexpr float kTolerance = 1e-3f;  // of float32 arithmetic in another order
constexpr float kWrongModel = 0.1f;  // less than what one wrong fact moves the logits by
constexpr int kWhole = 128;          // a chunk that holds any prompt here

EngineOptions exact_options(int chunk_tokens) {
  EngineOptions options;
  options.context_tokens = 128;
  options.chunk_tokens = chunk_tokens;
  options.threads = 2;
  options.kv_local = options.kv_global = KvCodec::f32;
  return options;
}

float largest_difference(const std::vector<float>& expected, const std::vector<float>& actual) {
  EXPECT_EQ(expected.size(), actual.size());
  if (expected.size() != actual.size()) return INFINITY;
  float largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const float difference = std::abs(expected[i] - actual[i]);
    if (!(difference <= largest)) largest = difference;  // NaN stays
  }
  return largest;
}

class Oracle : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  static std::string name() { return std::get<0>(GetParam()); }
  static std::shared_ptr<const Model> load() {
    LoadOptions options;
    options.threads = 1;
    options.kernels = std::get<1>(GetParam());
    return Model::load((kOracle / name()).string(), options);
  }
};

TEST_P(Oracle, LogitsAreTheReferencesForAnyChunk) {
  const auto model = load();
  for (const OracleSequence& sequence : oracle_sequences(name())) {
    for (const int chunk : {1, 5, kWhole}) {
      SCOPED_TRACE(testing::Message() << sequence.tokens.size() << " tokens, chunks of " << chunk);
      const Recording recording = run_alone(model, exact_options(chunk), sequence.tokens);
      EXPECT_LE(largest_difference(sequence.logits, recording.logits), kTolerance);
    }
  }
}

TEST_P(Oracle, GreedyContinuationsAreTheReferences) {
  const auto model = load();
  for (const OracleSequence& sequence : oracle_sequences(name())) {
    const Recording recording = run_alone(model, exact_options(kWhole), sequence.tokens, static_cast<int>(sequence.greedy.size()));
    EXPECT_EQ(recording.tokens, sequence.greedy) << "after " << sequence.tokens.size() << " tokens";
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Oracle, testing::Combine(testing::ValuesIn(oracle_cases()), testing::ValuesIn(supported_kernels())),
                         [](const auto& each) { return std::get<0>(each.param) + "_" + std::get<1>(each.param); });

// The tests above can fail: one wrong fact in config.json moves the logits far beyond the tolerance.
float difference_with(const std::string& name, const std::function<void(json&)>& edit) {
  std::ifstream source(kOracle / name / "config.json");
  json config = json::parse(source);
  edit(config);
  const TemporaryFolder folder;
  std::filesystem::copy_file(kOracle / name / "model.safetensors", folder / "model.safetensors");
  std::ofstream(folder / "config.json") << config;
  const auto model = Model::load(folder.string());
  const OracleSequence longest = oracle_sequences(name).back();
  return largest_difference(longest.logits, run_alone(model, exact_options(kWhole), longest.tokens).logits);
}

TEST(OracleData, AnUnchangedCopyAgrees) {
  for (const std::string& name : oracle_cases()) {
    EXPECT_LE(difference_with(name, [](json&) {}), kTolerance) << name;
  }
}

TEST(OracleData, AWindowOffByOneFails) {
  for (const char* name : {"gemma3", "gemma3_v5", "gemma3_linear", "gemma3_odd_untied"}) {
    for (const int step : {-1, 1}) {
      const auto edit = [step](json& c) { c["sliding_window"] = c["sliding_window"].get<int>() + step; };
      EXPECT_GT(difference_with(name, edit), kWrongModel) << name << " " << step;
    }
  }
}

TEST(OracleData, AWrongRopeBaseFails) {
  const auto swapped = [](json& c) { std::swap(c["rope_theta"], c["rope_local_base_freq"]); };
  const auto local_as_global = [](json& c) { c["rope_local_base_freq"] = c["rope_theta"]; };
  const auto global_as_local = [](json& c) { c["rope_theta"] = c["rope_local_base_freq"]; };
  for (const char* name : {"gemma3", "gemma3_linear", "gemma3_odd_untied"}) {
    EXPECT_GT(difference_with(name, swapped), kWrongModel) << name;
    EXPECT_GT(difference_with(name, local_as_global), kWrongModel) << name;
    EXPECT_GT(difference_with(name, global_as_local), kWrongModel) << name;
  }
  for (const char* name : {"llama", "smollm2"}) {
    EXPECT_GT(difference_with(name, [](json& c) { c["rope_theta"] = 1e6; }), kWrongModel) << name;
  }
}

TEST(OracleData, ADroppedRopeScalingFails) {
  for (const char* name : {"gemma3_linear", "llama3"}) {
    EXPECT_GT(difference_with(name, [](json& c) { c["rope_scaling"] = nullptr; }), kWrongModel) << name;
  }
}

TEST(OracleData, HoldsEveryFamilyAndBothSpellings) { EXPECT_GE(oracle_cases().size(), 14u); }

}  // namespace
}  // namespace fovea
