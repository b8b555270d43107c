#include "conversion/folder_vocabulary.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fovea/error.h"
#include "support/temporary_folder.h"
#include "text/tokenizer.h"

namespace fovea::conversion {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kText = fs::path(FOVEA_TEST_DATA) / "text";

files::ModelFiles folder_of(const fs::path& path) {
  files::ModelFiles folder;
  folder.container = files::Container::hugging_face;
  folder.path = path.string();
  return folder;
}

text::Vocabulary vocabulary_of(const std::string& name, int rows = 1000) {
  return folder_vocabulary(folder_of(kText / name), rows, "")->vocabulary;
}

// The same ids and texts as the package that made the file.
void expect_as_the_package(const std::string& name) {
  const text::Tokenizer tokenizer = text::Tokenizer::from_vocabulary(vocabulary_of(name));
  std::ifstream file(kText / name / "expected.json");
  const json expected = json::parse(file);
  ASSERT_GT(expected["cases"].size(), 20u);
  for (const json& each : expected["cases"]) {
    const auto text = each["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text, {.add_bos = false}), each["plain"].get<std::vector<int32_t>>()) << name << ": " << text;
    if (!each.contains("parsed")) continue;
    EXPECT_EQ(tokenizer.encode(text, {.add_bos = false, .parse_special = true}), each["parsed"].get<std::vector<int32_t>>())
        << name << ": " << text;
  }
}

TEST(FolderVocabulary, AByteLevelJsonGivesThePackagesIds) { expect_as_the_package("byte_level"); }
TEST(FolderVocabulary, APieceJsonGivesThePackagesIds) { expect_as_the_package("sentencepiece_json"); }
TEST(FolderVocabulary, AnOlderModelGivesThePackagesIds) { expect_as_the_package("sentencepiece_model"); }

TEST(FolderVocabulary, KnowsWhatStandsAroundATextAndHowItIsCut) {
  const text::Vocabulary vocabulary = vocabulary_of("byte_level");
  EXPECT_EQ(vocabulary.model, "gpt2");
  EXPECT_EQ(vocabulary.pre_tokenizer, "dbrx");  // Llama 3's cut without whole words
  EXPECT_EQ(vocabulary.bos, 700);
  EXPECT_EQ(vocabulary.eos, 701);
  EXPECT_TRUE(vocabulary.add_bos);
  EXPECT_EQ(vocabulary.kinds[700], text::TokenKind::control);
  EXPECT_EQ(vocabulary.kinds[702], text::TokenKind::user_defined);
}

TEST(FolderVocabulary, HasAsManyTokensAsTheEmbeddingHasRows) {
  const text::Vocabulary more = vocabulary_of("byte_level", 710), fewer = vocabulary_of("byte_level", 702);
  EXPECT_EQ(more.tokens.size(), 710u);
  EXPECT_EQ(more.tokens[709], "[PAD709]");
  EXPECT_EQ(more.kinds[709], text::TokenKind::unused);
  EXPECT_EQ(fewer.tokens.size(), 702u);
}

TEST(FolderVocabulary, AFolderWithoutTokenizerHasNone) {
  const testing_support::TemporaryFolder empty;
  EXPECT_FALSE(folder_vocabulary(folder_of(empty.string()), 10, ""));
  EXPECT_EQ(std::get<std::string>(tokenizer_keys(std::nullopt).at(0).value), "none");
}

TEST(FolderVocabulary, AnUnknownWayOfCuttingIsRefusedUnlessItIsNamed) {
  const testing_support::TemporaryFolder folder;
  std::ifstream file(kText / "byte_level" / "tokenizer.json");
  json edited = json::parse(file);
  edited["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "martian";
  std::ofstream(folder / "tokenizer.json") << edited;
  EXPECT_THROW(folder_vocabulary(folder_of(folder.string()), 703, ""), Error);
  EXPECT_EQ(folder_vocabulary(folder_of(folder.string()), 703, "qwen2")->vocabulary.pre_tokenizer, "qwen2");
}

}  // namespace
}  // namespace fovea::conversion
