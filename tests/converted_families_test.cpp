// A folder converted to GGUF computes what the folder does, and so does a folder that is quantized as it is loaded.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "files/gguf.h"
#include "fovea/conversion.h"
#include "fovea/engine.h"
#include "fovea/error.h"
#include "fovea/plan.h"
#include "support/drawn_model.h"
#include "support/oracle_case.h"
#include "support/recording.h"

namespace fovea {
namespace {

using namespace testing_support;

constexpr float kTolerance = 1e-3f;  // of float32 arithmetic in another order

EngineOptions exact_options(int tokens) {
  EngineOptions options;
  options.context_tokens = options.chunk_tokens = tokens;
  options.threads = 2;
  options.kv_local = options.kv_global = KvCodec::f32;
  return options;
}

std::shared_ptr<const Model> load(const std::string& path, const std::string& quant = "") {
  LoadOptions options;
  options.threads = 1;
  options.quant = quant;
  return Model::load(path, options);
}

std::vector<float> logits_of(const std::shared_ptr<const Model>& model, const std::vector<int32_t>& tokens) {
  return run_alone(model, exact_options(static_cast<int>(tokens.size())), tokens).logits;
}

float largest_difference(const std::vector<float>& expected, const std::vector<float>& actual) {
  if (expected.size() != actual.size()) return INFINITY;
  float largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) largest = std::max(largest, std::abs(expected[i] - actual[i]));
  return largest;
}

ConvertedModel convert(const DrawnModel& drawn, const std::string& to, const std::string& quant, bool no_window = false) {
  ConversionOptions options;
  options.quant = quant;
  options.no_window = no_window;
  options.threads = 2;
  return convert_model(drawn.path(), to, options);
}

// What the format, or llama.cpp, fixes for everybody; these shapes have something else, and are refused.
const std::vector<std::string> kUnsayable = {"mistral_",    "ministral_",  "phi3_a",   "qwen2_b",  "mixtral_b",      // windows
                                             "qwen2_moe_b", "qwen3_moe_b", "gemma2_b", "gemma3_b", "deepseek_v3_b",  // routing, scale, rope
                                             "gemma3n_a",   "gemma3n_b",   "llama4_a", "llama4_b"};  // sizes of the published models only

bool can_say(const std::string& name) {
  return std::none_of(kUnsayable.begin(), kUnsayable.end(), [&](const std::string& prefix) { return name.starts_with(prefix); });
}

class Conversion : public testing::TestWithParam<std::string> {};

TEST_P(Conversion, TheFileComputesWhatTheReferenceDoesOrIsRefused) {
  const DrawnModel drawn(GetParam());
  const TemporaryFolder place;
  const std::string path = place / "x.gguf";
  if (!can_say(GetParam())) {
    EXPECT_THROW(convert(drawn, path, "f32"), Error);
    EXPECT_FALSE(std::filesystem::exists(path));
    return;
  }
  convert(drawn, path, "f32");
  const auto model = load(path);
  for (const OracleSequence& sequence : oracle_sequences(kFamilies / GetParam())) {
    EXPECT_LE(largest_difference(sequence.logits, logits_of(model, sequence.tokens)), kTolerance) << sequence.tokens.size() << " tokens";
  }
}

TEST_P(Conversion, QuantizingAtLoadIsTheConvertedFileBitForBit) {
  const DrawnModel drawn(GetParam());
  const TemporaryFolder place;
  const OracleSequence longest = oracle_sequences(kFamilies / GetParam()).back();
  for (const char* quant : {"f32", "q8_0", "q4_k_m"}) {
    const auto quantized = load(drawn.path(), quant);
    const std::vector<float> logits = logits_of(quantized, longest.tokens);
    if (can_say(GetParam())) {
      const std::string path = place / (std::string(quant) + ".gguf");
      convert(drawn, path, quant);
      const auto file = load(path);
      SCOPED_TRACE(quant);
      expect_same_bits(logits_of(file, longest.tokens), logits, file->facts().vocabulary);
      EXPECT_EQ(file->weights_bytes(), quantized->weights_bytes());
    }
    if (std::string(quant) == "f32") {  // whether or not a file could say it
      EXPECT_LE(largest_difference(longest.logits, logits), kTolerance);
    }
  }
}

TEST_P(Conversion, ThePlanOfAQuantizedFolderIsThatOfTheEngine) {
  const DrawnModel drawn(GetParam());
  const auto model = load(drawn.path(), "q4_k_m");
  EngineOptions options = exact_options(64);
  PlanOptions plan;
  plan.context_tokens = plan.chunk_tokens = 64;
  plan.threads = 2;
  plan.kv_local = plan.kv_global = "f32";
  options.cache_bytes = 1 << 20;
  plan.cache_bytes = options.cache_bytes;
  EXPECT_EQ(Planner::open(drawn.path(), "q4_k_m").plan(plan).total_bytes, Engine(model, options).plan().total_bytes);
}

std::vector<std::string> cases() { return oracle_cases(kFamilies); }
INSTANTIATE_TEST_SUITE_P(Cases, Conversion, testing::ValuesIn(cases()), [](const auto& each) { return each.param; });

// ---- what the format cannot say

std::string refusal(const std::string& name) {
  const TemporaryFolder place;
  try {
    convert(DrawnModel(name), place / "x.gguf", "");
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << name << " was converted";
  return "";
}

TEST(ConversionRefusal, SaysWhatWouldBeLostAndWhatHelps) {
  EXPECT_NE(refusal("mistral_a1").find("the window (8 in the folder, none in the file) of layer 0"), std::string::npos);
  EXPECT_NE(refusal("mistral_a1").find("--no-window"), std::string::npos);
  EXPECT_NE(refusal("gemma2_b1").find("scale of scores"), std::string::npos);
}

TEST(ConversionRefusal, WithoutTheWindowItIsTheSameUpToTheWindow) {
  const DrawnModel drawn("mistral_a1");
  const TemporaryFolder place;
  const std::string path = place / "x.gguf";
  convert(drawn, path, "f32", true);
  const auto model = load(path);
  EXPECT_EQ(model->facts().context_tokens, 8);
  const OracleSequence sequence = oracle_sequences(kFamilies / "mistral_a1").back();
  const std::vector<int32_t> begin(sequence.tokens.begin(), sequence.tokens.begin() + 8);
  const std::vector<float> expected(sequence.logits.begin(), sequence.logits.begin() + int64_t{8} * model->facts().vocabulary);
  EXPECT_LE(largest_difference(expected, logits_of(model, begin)), kTolerance);
}

TEST(ConversionRefusal, AFileIsNoFolderAndFormatsMustExist) {
  const DrawnModel drawn("llama4_a1");
  const TemporaryFolder place;
  EXPECT_THROW(convert(DrawnModel("qwen3_a1"), place / "x.gguf", "q4_k_x"), Error);
  EXPECT_THROW(convert(DrawnModel("qwen3_a1"), place / "x.gguf", "mxfp4"), Error);
  convert(DrawnModel("qwen3_a1"), place / "x.gguf", "");
  EXPECT_THROW(load(place / "x.gguf", "q8_0"), Error);
}

// ---- the file

TEST(ConvertedFile, KeepsTheFormatsOfTheFolderUnlessAskedOtherwise) {
  const DrawnModel drawn("qwen3_a1");
  const TemporaryFolder place;
  const ConvertedModel made = convert(drawn, place / "x.gguf", "");
  const files::ModelFiles file = files::open_gguf(place / "x.gguf");
  EXPECT_EQ(made.architecture, "qwen3");
  EXPECT_EQ(made.file_bytes, static_cast<int64_t>(std::filesystem::file_size(place / "x.gguf")));
  EXPECT_EQ(made.tensors, static_cast<int>(file.tensors.size()));
  EXPECT_EQ(file.metadata.text("tokenizer.ggml.model"), "none");
  for (const auto& [name, tensor] : file.tensors.all()) EXPECT_EQ(tensor.format, NumberFormat::f32) << name;
  EXPECT_FALSE(load(place / "x.gguf")->has_tokenizer());
}

TEST(ConvertedFile, StoppingLeavesNothing) {
  const DrawnModel drawn("qwen3_a1");
  const TemporaryFolder place;
  const auto stop = [](std::string_view, int64_t, int64_t) { return false; };
  EXPECT_THROW(convert_model(drawn.path(), place / "x.gguf", {}, stop), Stopped);
  EXPECT_TRUE(std::filesystem::is_empty(place.string()));
}

}  // namespace
}  // namespace fovea
