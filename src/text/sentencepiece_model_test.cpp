#include "text/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <random>

#include "fovea/error.h"
#include "text/test_data.h"
#include "text/tokenizer.h"

namespace fovea::text {
namespace {

using Ids = std::vector<int32_t>;

std::string model_file() { return test_file("sentencepiece_model/tokenizer.model"); }

// A field of a protocol buffer, with a number below 16: a value below 128, or fewer than 128 bytes.
std::string field(int number, int value) { return {static_cast<char>(number << 3), static_cast<char>(value)}; }
std::string field(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

std::string refusal(const std::string& model) {
  try {
    parse_sentencepiece_model(model, "tokenizer.model");
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "tokenizer.model");
    return error.problem();
  }
  return "";
}

const std::string kPiece = field(1, field(1, std::string("a")));
const std::string kBpe = field(2, field(3, 2));
const std::string kAsIs = field(3, field(4, 0));  // spaces are kept

TEST(SentencePieceModel, GivesThePackagesIds) {
  const Tokenizer tokenizer = Tokenizer::from_sentencepiece(model_file(), test_file("sentencepiece_model/tokenizer_config.json"), "x");
  const nlohmann::json expected = test_json("sentencepiece_model/expected.json");
  ASSERT_GT(expected["cases"].size(), 100u);
  for (const auto& entry : expected["cases"]) {
    const std::string text = entry["text"];
    const Ids ids = tokenizer.encode(text, {.add_bos = false});
    EXPECT_EQ(ids, entry["plain"].get<Ids>()) << entry["text"];
    EXPECT_EQ(tokenizer.decode(ids, false), entry["decoded"].get<std::string>()) << entry["text"];
  }
  EXPECT_EQ(tokenizer.encode("", {}), (Ids{*tokenizer.bos()}));
  EXPECT_EQ(tokenizer.bos(), tokenizer.id_of("<s>"));
  EXPECT_EQ(tokenizer.eos(), tokenizer.id_of("</s>"));
}

TEST(SentencePieceModel, ThePrefixSpaceComesOnceAndNotBeforeAControlToken) {
  const Tokenizer tokenizer = Tokenizer::from_sentencepiece(model_file(), "", "x");
  const auto encode = [&](const char* text) { return tokenizer.encode(text, {.add_bos = false, .parse_special = true}); };
  const Ids first = encode("a"), control = encode("</s>a");
  EXPECT_EQ(tokenizer.decode(first, false), "a");
  EXPECT_EQ(control.front(), tokenizer.id_of("</s>"));
  EXPECT_EQ(Ids(control.begin() + 1, control.end()), (Ids{*tokenizer.id_of("a")}));
}

TEST(SentencePieceModel, TheSmallestOneIsRead) {
  const Vocabulary vocabulary = parse_sentencepiece_model(kPiece + kBpe + kAsIs, "x");
  EXPECT_EQ(vocabulary.tokens, (std::vector<std::string>{"a"}));
  EXPECT_TRUE(vocabulary.add_space_prefix);
  EXPECT_EQ(vocabulary.unknown, 0);
  EXPECT_FALSE(vocabulary.bos);  // 1 by default, but there is no token 1
}

TEST(SentencePieceModel, WhatThisEngineDoesNotDoIsRefused) {
  EXPECT_NE(refusal(kPiece + kAsIs).find("BPE"), std::string::npos);  // unigram, the default
  EXPECT_NE(refusal(kPiece + kBpe).find("normalizes"), std::string::npos);
  EXPECT_NE(refusal(kPiece + kBpe + field(3, field(2, std::string("rules")) + field(4, 0))).find("normalizes"), std::string::npos);
  EXPECT_NE(refusal(kBpe + kAsIs).find("no tokens"), std::string::npos);
  EXPECT_NE(refusal(field(1, field(1, std::string("\xFF"))) + kBpe + kAsIs).find("UTF-8"), std::string::npos);
  EXPECT_NE(refusal(field(1, field(3, 9)) + kBpe + kAsIs).find("type 9"), std::string::npos);
}

TEST(SentencePieceModel, TruncatedAnywhereIsRefusedOrAWholeOne) {
  const std::string whole = model_file();
  for (size_t size = 0; size < whole.size(); size += size < 2000 ? 1 : 37) {
    try {
      parse_sentencepiece_model(whole.substr(0, size), "x");
    } catch (const Error&) {
    }
  }
  const std::string small = kPiece + kBpe + kAsIs;
  for (size_t size = 0; size < small.size(); ++size) EXPECT_NE(refusal(small.substr(0, size)), "") << size;
}

TEST(SentencePieceModel, FlippedBytesNeverDoHarm) {
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    std::string damaged = model_file();
    for (int i = 0; i < 8; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
    try {
      Tokenizer::from_sentencepiece(damaged, "", "x").encode("It was on a dreary night", {});
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace fovea::text
