// Every family against the reference implementation, on tiny models: logits, greedy continuations, and that they do not depend on
// how the prompt was chunked or on other requests.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "fovea/engine.h"
#include "support/drawn_model.h"
#include "support/oracle_case.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr float kTolerance = 1e-3f;    // of float32 arithmetic in another order
constexpr float kWrongModel = 0.015f;  // less than what any mistake of mistakes.json moves the logits by

EngineOptions exact_options(int context_tokens, int chunk_tokens, int sequences = 1) {
  EngineOptions options;
  options.context_tokens = context_tokens;
  options.sequences = sequences;
  options.chunk_tokens = chunk_tokens;
  options.threads = 2;
  options.kv_local = options.kv_global = KvCodec::f32;
  return options;
}

float largest_difference(const std::vector<float>& expected, const std::vector<float>& actual) {
  if (expected.size() != actual.size()) return INFINITY;
  float largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const float difference = std::abs(expected[i] - actual[i]);
    if (!(difference <= largest)) largest = difference;  // NaN stays
  }
  return largest;
}

std::vector<std::string> cases() { return oracle_cases(kFamilies); }

class Families : public testing::TestWithParam<std::string> {};

TEST_P(Families, LogitsAreTheReferencesAndTheSameBitsForAnyChunk) {
  const DrawnModel drawn(GetParam());
  const auto model = drawn.load();
  for (const OracleSequence& sequence : oracle_sequences(kFamilies / GetParam())) {
    const int length = static_cast<int>(sequence.tokens.size());
    SCOPED_TRACE(testing::Message() << length << " tokens");
    const Recording whole = run_alone(model, exact_options(length, length), sequence.tokens);
    EXPECT_LE(largest_difference(sequence.logits, whole.logits), kTolerance);
    for (const int chunk : {1, 5}) {
      SCOPED_TRACE(testing::Message() << "chunks of " << chunk);
      expect_same_bits(whole.logits, run_alone(model, exact_options(length, chunk), sequence.tokens).logits, model->facts().vocabulary);
    }
  }
}

// A rope that differs for long contexts is chosen by the engine's context once, by the reference again at every length.
bool crosses_rope_limit(const json& config, size_t begin, size_t end) {
  const json rope = config.value("rope_parameters", json::object());
  const auto limit = rope.value("original_max_position_embeddings", size_t{0});
  return rope.value("rope_type", "") == "longrope" && begin <= limit && end > limit;
}

TEST_P(Families, GreedyContinuationsAreTheReferences) {
  const DrawnModel drawn(GetParam());
  const auto model = drawn.load();
  for (const OracleSequence& sequence : oracle_sequences(kFamilies / GetParam())) {
    const size_t length = sequence.tokens.size(), all = length + sequence.greedy.size();
    if (crosses_rope_limit(drawn.config, length, all)) continue;
    const auto options = exact_options(static_cast<int>(all), static_cast<int>(all));
    const Recording recording = run_alone(model, options, sequence.tokens, static_cast<int>(sequence.greedy.size()));
    EXPECT_EQ(recording.tokens, sequence.greedy) << "after " << length << " tokens";
  }
}

TEST_P(Families, LogitsDoNotDependOnOtherRequests) {
  const DrawnModel drawn(GetParam());
  const auto model = drawn.load();
  const std::vector<OracleSequence> sequences = oracle_sequences(kFamilies / GetParam());
  const OracleSequence& longest = sequences.back();
  const std::vector<float> alone = run_alone(model, exact_options(160, 16), longest.tokens).logits;
  Engine engine(model, exact_options(160, 7, 3));
  Recording others[2], result;
  engine.submit(recorded(sequences[1].tokens, 40, others[0]));
  engine.submit(recorded(longest.tokens, 0, result));
  engine.submit(recorded(sequences[2].tokens, 9, others[1]));
  while (!engine.idle()) engine.step();
  expect_same_bits(alone, result.logits, model->facts().vocabulary);
}

// Continuing from what an earlier request left is the cold run, to the bit.
TEST_P(Families, AReusedPrefixGivesTheLogitsOfAColdRun) {
  const DrawnModel drawn(GetParam());
  const auto model = drawn.load();
  const std::vector<int32_t> prompt = oracle_sequences(kFamilies / GetParam()).back().tokens;
  const int from = static_cast<int>(prompt.size()) * 2 / 3, vocabulary = model->facts().vocabulary;
  const std::vector<float> cold = run_alone(model, exact_options(160, 16), prompt).logits;
  Engine engine(model, exact_options(160, 16));
  Recording first, warm;
  engine.generate(recorded({prompt.begin(), prompt.begin() + from}, 0, first), nullptr);
  Request request;
  request.prompt = prompt;
  request.max_tokens = 0;
  request.logits_from = from;
  request.on_logits = [&](int, std::span<const float> row) { warm.logits.insert(warm.logits.end(), row.begin(), row.end()); };
  engine.generate(std::move(request), nullptr);
  expect_same_bits({cold.begin() + int64_t{from} * vocabulary, cold.end()}, warm.logits, vocabulary);
  EXPECT_EQ(engine.stats().reused_tokens, from);
}

// What a position costs in the cache of each layer, in numbers: by kind of layer, whatever the family.
int64_t numbers_per_token(const json& c, size_t layer, const LayerFacts& facts) {
  if (facts.kind == "state" || facts.shares_with) return 0;
  if (facts.kind == "latent") return c["kv_lora_rank"].get<int64_t>() + c["qk_rope_head_dim"].get<int64_t>();
  const bool one_stream = c.value("attention_k_eq_v", false) && c["layer_types"][layer] == "full_attention";
  const int64_t heads = int64_t{facts.kv_heads} * facts.head_dim;
  return one_stream ? heads : 2 * heads;
}

TEST_P(Families, CacheHoldsWhatEachKindOfLayerNeedsAndNothingForLayersThatShare) {
  const DrawnModel drawn(GetParam());
  const auto model = drawn.load();
  const ModelFacts& facts = model->facts();
  const int shared = drawn.config.value("num_kv_shared_layers", 0);
  for (size_t i = 0; i < facts.layers.size(); ++i) {
    EXPECT_EQ(facts.layers[i].cache_bytes_per_token, 2 * numbers_per_token(drawn.config, i, facts.layers[i])) << "layer " << i;
    EXPECT_EQ(facts.layers[i].shares_with.has_value(), i + static_cast<size_t>(shared) >= facts.layers.size()) << "layer " << i;
  }
}

// Floats that a layer carries from token to token, by what the configuration says of its state space.
int64_t state_floats(const json& c) {
  const auto number = [&](const char* name, const char* other) {
    return c.contains(name) ? c[name].get<int64_t>() : c[other].get<int64_t>();
  };
  const int64_t inner = number("expand", "mamba_expand") * c["hidden_size"].get<int64_t>();
  const int64_t states = number("state_size", "mamba_d_state"), past = number("conv_kernel", "mamba_d_conv") - 1;
  const int64_t shared = c["model_type"] == "mamba2" ? 2 * c["n_groups"].get<int64_t>() * states : 0;
  return (inner + shared) * past + inner * states;
}

TEST_P(Families, AStateTakesWhatItsFormulaSays) {
  const DrawnModel drawn(GetParam());
  const auto model = drawn.load();
  for (const LayerFacts& layer : model->facts().layers) {
    EXPECT_EQ(layer.state_bytes, layer.kind == "state" ? 4 * state_floats(drawn.config) : 0) << "layer " << layer.index;
  }
}

TEST_P(Families, StatsNameTheKindsOfLayersThatKeepSomething) {
  const auto model = DrawnModel(GetParam()).load();
  std::map<std::string, int> kept, counted;
  for (const LayerFacts& layer : model->facts().layers) kept[layer.kind] += !layer.shares_with;
  for (const KvGroupStats& group : Engine(model, exact_options(32, 8)).stats().kv) counted[group.kind] += group.layers;
  EXPECT_EQ(counted, kept);
}

// A token is sent to 2 of 4 experts; the others are not read for it.
TEST(Experts, CountAsTheShareOfThemThatATokenUses) {
  const DrawnModel drawn("mixtral_a1");
  const auto model = drawn.load();
  constexpr int64_t kHidden = 32, kKv = 16, kWidth = 48, kLayers = 3, kExperts = 4, kUsed = 2, kVocabulary = 96;
  const int64_t attention = 2 * kHidden * kHidden + 2 * kHidden * kKv, router = kExperts * kHidden, expert = 3 * kWidth * kHidden;
  EXPECT_EQ(model->macs_per_token(), kLayers * (attention + router + kUsed * expert));
  EXPECT_EQ(model->bytes_per_token(), 4 * (kLayers * (attention + 16 * kHidden + kUsed * expert) + kVocabulary * kHidden));
}

// The tests above can fail: a configuration that is wrong in one thing moves the logits far beyond the tolerance.
TEST_P(Families, AMistakeInTheConfigurationShows) {
  std::ifstream source(kFamilies / GetParam() / "mistakes.json");
  const OracleSequence longest = oracle_sequences(kFamilies / GetParam()).back();
  const int length = static_cast<int>(longest.tokens.size());
  const json mistakes = json::parse(source);
  for (const auto& [name, changes] : mistakes.items()) {
    const auto model = DrawnModel(GetParam(), changes).load();
    EXPECT_GT(largest_difference(longest.logits, run_alone(model, exact_options(length, length), longest.tokens).logits), kWrongModel)
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Families, testing::ValuesIn(cases()), [](const auto& each) { return each.param; });

}  // namespace
}  // namespace fovea
