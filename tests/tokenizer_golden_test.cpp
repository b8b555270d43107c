// Token ids on the vocabularies of real models against llama.cpp's (tests/data/text/golden_*.json, made by
// tools/make_text_data.py). Skips models that are not installed.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/vocabulary.h"
#include "support/real_model.h"

namespace fovea::text {
namespace {

using Ids = std::vector<int32_t>;

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// FNV-1a of 64 bits over the ids as little-endian int32.
std::string fnv1a(const Ids& ids) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const int32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      hash = (hash ^ (static_cast<uint32_t>(id) >> shift & 0xFFu)) * 0x100000001B3u;
    }
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

struct Model {
  const char* golden;  // name of the golden file
  testing_support::RealModel file;
};
std::ostream& operator<<(std::ostream& out, const Model& model) { return out << model.golden; }

class TokenizerGolden : public testing::TestWithParam<Model> {
 protected:
  void SetUp() override {
    const auto path = GetParam().file.path();
    if (!path) GTEST_SKIP() << testing_support::kNoModel << GetParam().file.variable;
    model_ = files::open_model(*path);
    tokenizer_ = load_tokenizer(*model_);
    ASSERT_TRUE(tokenizer_);
    golden_ = nlohmann::json::parse(read(std::string(FOVEA_TEST_DATA) + "/text/golden_" + GetParam().golden + ".json"));
    ASSERT_GE(golden_["cases"].size(), 300u);
  }

  std::optional<files::ModelFiles> model_;
  std::optional<Tokenizer> tokenizer_;
  nlohmann::json golden_;
};

TEST_P(TokenizerGolden, AwkwardStringsGiveTheReferenceIds) {
  for (const auto& entry : golden_["cases"]) {
    const std::string text = entry["text"];
    const Ids plain = entry["plain"];
    const Ids parsed = entry.contains("parsed") ? entry["parsed"].get<Ids>() : plain;
    EXPECT_EQ(tokenizer_->encode(text, {.add_bos = false, .parse_special = false}), plain) << entry["text"];
    EXPECT_EQ(tokenizer_->encode(text, {.add_bos = false, .parse_special = true}), parsed) << entry["text"];
  }
}

TEST_P(TokenizerGolden, TheWholeNovelGivesTheReferenceIds) {
  const std::string novel = testing_support::novel();
  const Ids ids = tokenizer_->encode(novel, {});
  EXPECT_EQ(ids.size(), golden_["novel_tokens"]);
  EXPECT_EQ(fnv1a(ids), golden_["novel_fnv1a"]);
  EXPECT_TRUE(tokenizer_->decode(ids, false) == novel);
}

TEST_P(TokenizerGolden, BosComesWhereTheReferencePutsIt) { EXPECT_EQ(tokenizer_->encode("", {}), golden_["bos_before_empty"].get<Ids>()); }

TEST_P(TokenizerGolden, EveryPlainTextSurvivesTheRoundTrip) {
  for (const auto& entry : golden_["cases"]) {
    const std::string text = entry["text"];
    if (text.find("\u2581") != std::string::npos) continue;  // stands for a space in SentencePiece vocabularies
    const Ids ids = tokenizer_->encode(text, {.add_bos = false});
    EXPECT_EQ(tokenizer_->decode(ids, false), text);
    StreamingDetokenizer stream(*tokenizer_);
    std::string streamed;
    for (const int32_t id : ids) streamed += stream.push(id);
    EXPECT_EQ(streamed + stream.finish(), text);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, TokenizerGolden,
                         testing::Values(Model{"gemma-3-270m", testing_support::kGemma}, Model{"smollm2-135m", testing_support::kSmolLm2}),
                         [](const auto& each) { return each.index == 0 ? "gemma" : "smollm2"; });

}  // namespace
}  // namespace fovea::text
