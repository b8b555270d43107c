// Narrow keys and values in whole models: on every kind of attention that a family has, the more bits, the closer to float32.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "fovea/engine.h"
#include "support/drawn_model.h"
#include "support/oracle_case.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;

std::vector<float> logits_of(const std::shared_ptr<const Model>& model, const std::vector<int32_t>& tokens, KvCodecs codecs,
                             int newest_tokens = EngineOptions::kUsualNewest) {
  EngineOptions options;
  options.context_tokens = static_cast<int>(tokens.size());
  options.chunk_tokens = 32;
  options.threads = 2;
  options.kv_local = options.kv_global = codecs;
  options.kv_newest_tokens = newest_tokens;
  return run_alone(model, options, tokens).logits;
}

// Relative to the spread of the logits.
double error_of(const std::vector<float>& expected, const std::vector<float>& found) {
  double mean = 0, spread = 0, error = 0;
  for (const float x : expected) mean += x / static_cast<double>(expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    spread += (expected[i] - mean) * (expected[i] - mean);
    error += (expected[i] - found[i]) * (expected[i] - found[i]);
  }
  return std::sqrt(error / spread);
}

class KvCodecOfFamily : public testing::TestWithParam<std::string> {};

TEST_P(KvCodecOfFamily, TheMoreBitsTheCloserAreTheLogits) {
  const DrawnModel drawn(GetParam());
  const auto model = drawn.load();
  const std::vector<int32_t> tokens = oracle_sequences(kFamilies / GetParam()).back().tokens;
  const std::vector<float> expected = logits_of(model, tokens, KvCodec::f32);
  const auto error = [&](KvCodecs codecs) { return error_of(expected, logits_of(model, tokens, codecs, 0)); };
  const double wide = error(KvCodec::bf16), whole = error(KvCodec::int8), four = error(KvCodec::tq4), two = error(KvCodec::tq2);
  EXPECT_LT(whole, 0.3);  // heads of 4 to 16 dimensions, and experts that change: far from what real models lose
  EXPECT_LT(four, 1);
  EXPECT_LE(whole, four + wide);
  EXPECT_LE(four, two + wide);
  EXPECT_TRUE(std::isfinite(two));
  const double apart = error({KvCodec::int8, KvCodec::tq4});
  EXPECT_LE(apart, two + wide);
}

// Whatever the codes are: fp8, because nothing else about the keys differs from bf16 there.
TEST_P(KvCodecOfFamily, WithAllTokensAmongTheNewestLogitsAreThoseOfBf16BitForBit) {
  const DrawnModel drawn(GetParam());
  const auto model = drawn.load();
  const std::vector<int32_t> tokens = oracle_sequences(kFamilies / GetParam()).back().tokens;
  const auto all = static_cast<int>(tokens.size());
  const int vocabulary = model->facts().vocabulary;
  const std::vector<float> expected = logits_of(model, tokens, KvCodec::bf16);
  expect_same_bits(expected, logits_of(model, tokens, KvCodec::fp8, all), vocabulary);
  EXPECT_EQ(logits_of(model, tokens, KvCodec::bf16, all), expected) << "nothing is narrow";
}

INSTANTIATE_TEST_SUITE_P(Cases, KvCodecOfFamily, testing::ValuesIn(oracle_cases(kFamilies)), [](const auto& each) {
  std::string name = each.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

}  // namespace
}  // namespace fovea
