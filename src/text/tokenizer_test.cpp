#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>

#include "fovea/error.h"
#include "text/test_data.h"
#include "text/token_bytes.h"

namespace fovea::text {
namespace {

using Ids = std::vector<int32_t>;
using nlohmann::json;
constexpr TokenKind N = TokenKind::normal, C = TokenKind::control, U = TokenKind::user_defined;

// Ids:                 0        1      2        3      4         5         6    7    8     9    10
Vocabulary small_sentencepiece() {
  Vocabulary vocabulary;
  vocabulary.source = "small.gguf";
  vocabulary.model = "llama";
  vocabulary.tokens = {"<unk>", "<s>", "</s>", "<h1>", "\u2581", "\u2581a", "a", "b", "ab", "<end_of_turn>", "  "};
  vocabulary.scores = {0, 0, 0, 0, -5, -2, -5, -5, -1, 0, -1};
  vocabulary.kinds = {TokenKind::unknown, C, C, U, N, N, N, N, N, C, U};
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.unknown = 0;
  vocabulary.add_bos = true;
  return vocabulary;
}

Vocabulary small_byte_level() {
  Vocabulary vocabulary;
  vocabulary.source = "small.gguf";
  vocabulary.model = "gpt2";
  vocabulary.pre_tokenizer = "smollm";
  vocabulary.tokens = {"<|im_end|>", "a", "b", "Ġ", "1", "ab", "Ġab", "11", "Ã", "©"};
  vocabulary.kinds = {C, N, N, N, N, N, N, N, N, N};
  vocabulary.merges = {"a b", "Ġ ab", "1 1"};
  return vocabulary;
}

std::string message_of(const Vocabulary& vocabulary) {
  try {
    Tokenizer::from_vocabulary(vocabulary);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Tokenizer, SpecialsAreAddedAndParsedOnlyWhereAsked) {
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(small_sentencepiece());
  EXPECT_EQ(tokenizer.encode("ab", {}), (Ids{1, 8}));
  EXPECT_EQ(tokenizer.encode("ab", {.add_bos = false}), (Ids{8}));
  EXPECT_EQ(tokenizer.encode("a</s>b", {.add_bos = false, .parse_special = true}), (Ids{6, 2, 7}));
  const Ids plain = tokenizer.encode("a</s>b", {.add_bos = false});
  EXPECT_EQ(std::count(plain.begin(), plain.end(), 2), 0);
  EXPECT_EQ(tokenizer.encode("a<h1>  b", {.add_bos = false}), (Ids{6, 3, 10, 7}));
}

TEST(Tokenizer, EosComesLastWhereTheVocabularyAsksForIt) {
  Vocabulary vocabulary = small_sentencepiece();
  vocabulary.add_eos = true;
  EXPECT_EQ(Tokenizer::from_vocabulary(vocabulary).encode("ab", {}), (Ids{1, 8, 2}));
}

TEST(Tokenizer, ATextCannotEndATurnThroughAWronglyMarkedToken) {
  Vocabulary vocabulary = small_sentencepiece();
  vocabulary.kinds[9] = U;
  const Ids ids = Tokenizer::from_vocabulary(vocabulary).encode("<end_of_turn>", {.add_bos = false});
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 9), 0);
}

TEST(Tokenizer, BytesComeBack) {
  const Tokenizer byte_level = Tokenizer::from_vocabulary(small_byte_level());
  EXPECT_EQ(byte_level.encode("ab ab11é", {}), (Ids{5, 6, 4, 4, 8, 9}));  // every digit is a piece of its own
  EXPECT_EQ(byte_level.token_bytes(8, false), "\xC3");
  EXPECT_EQ(byte_level.decode({5, 6, 4, 4, 8, 9}, false), "ab ab11é");
  EXPECT_EQ(byte_level.decode({8, 0, 8}, true), "\uFFFD<|im_end|>\uFFFD");
  EXPECT_EQ(byte_level.decode({8, 0, 9}, false), "é");
}

TEST(Tokenizer, ThePrefixSpaceIsTakenAwayAgain) {
  Vocabulary vocabulary = small_sentencepiece();
  vocabulary.add_space_prefix = true;
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(vocabulary);
  EXPECT_EQ(tokenizer.encode("a", {}), (Ids{1, 5}));
  EXPECT_EQ(tokenizer.decode({1, 5, 5}, false), "a a");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(" a", {}), false), " a");
  EXPECT_EQ(tokenizer.token_bytes(5, false), " a");
}

TEST(Tokenizer, EndTokensAreEosAndTheControlTokensKnownByText) {
  EXPECT_EQ(Tokenizer::from_vocabulary(small_sentencepiece()).end_tokens(), (Ids{2, 9}));
  EXPECT_EQ(Tokenizer::from_vocabulary(small_byte_level()).end_tokens(), (Ids{0}));
  Vocabulary vocabulary = small_sentencepiece();
  vocabulary.kinds[9] = N;
  vocabulary.eos = 6;
  EXPECT_EQ(Tokenizer::from_vocabulary(vocabulary).end_tokens(), (Ids{2, 6}));
}

TEST(Tokenizer, WhatCannotBeUsedIsNamed) {
  Vocabulary vocabulary = small_byte_level();
  vocabulary.pre_tokenizer = "martian";
  EXPECT_NE(message_of(vocabulary).find("\"martian\""), std::string::npos);
  EXPECT_NE(message_of(vocabulary).find("smollm, "), std::string::npos);  // and those that are known
  vocabulary = small_byte_level();
  vocabulary.merges.push_back("a x");
  EXPECT_NE(message_of(vocabulary).find("\"x\""), std::string::npos);
  vocabulary.model = "rwkv";
  EXPECT_NE(message_of(vocabulary).find("\"rwkv\""), std::string::npos);
  vocabulary = small_sentencepiece();
  vocabulary.bos = 11;
  EXPECT_NE(message_of(vocabulary).find("BOS is 11"), std::string::npos);
  vocabulary.bos.reset();
  EXPECT_NE(message_of(vocabulary).find("BOS"), std::string::npos);
  vocabulary = small_sentencepiece();
  vocabulary.scores.pop_back();
  EXPECT_NE(message_of(vocabulary).find("10 scores for 11 tokens"), std::string::npos);
  EXPECT_NE(message_of(Vocabulary()).find("empty"), std::string::npos);
}

TEST(Tokenizer, BadArgumentsAreErrors) {
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(small_sentencepiece());
  EXPECT_THROW(tokenizer.token_bytes(-1, true), Error);
  EXPECT_THROW(tokenizer.token_bytes(11, true), Error);
  EXPECT_FALSE(tokenizer.is_control(11));
  try {
    tokenizer.encode("ab\xFF", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("byte 2"), std::string::npos);
  }
}

TEST(Tokenizer, EveryNamedPreTokenizerWorks) {
  for (const char* name : {"smollm", "llama-bpe", "qwen2", "gpt-2", "default", "dbrx"}) {
    Vocabulary vocabulary = small_byte_level();
    vocabulary.pre_tokenizer = name;
    const bool one_by_one = name == std::string("smollm") || name == std::string("qwen2");
    EXPECT_EQ(Tokenizer::from_vocabulary(vocabulary).encode("11", {.add_bos = false}), one_by_one ? (Ids{4, 4}) : (Ids{7})) << name;
  }
}

Tokenizer from_folder(const std::string& name) {
  return Tokenizer::from_json(test_file(name + "/tokenizer.json"), test_file(name + "/tokenizer_config.json"), name);
}

void expect_as_the_package(const Tokenizer& tokenizer, const std::string& name) {
  const json expected = test_json(name + "/expected.json");
  ASSERT_GT(expected["cases"].size(), 100u);
  for (const json& entry : expected["cases"]) {
    const std::string text = entry["text"];
    EXPECT_EQ(tokenizer.encode(text, {.add_bos = false}), entry["plain"].get<Ids>()) << entry["text"];
    if (!entry.contains("parsed")) continue;
    const Ids parsed = tokenizer.encode(text, {.add_bos = false, .parse_special = true});
    EXPECT_EQ(parsed, entry["parsed"].get<Ids>()) << entry["text"];
    EXPECT_EQ(tokenizer.decode(parsed, false), entry["decoded"].get<std::string>()) << entry["text"];
  }
}

TEST(TokenizerJson, AByteLevelFileGivesThePackagesIdsAndTexts) { expect_as_the_package(from_folder("byte_level"), "byte_level"); }

TEST(TokenizerJson, ASentencePieceFileGivesThePackagesIdsAndTexts) {
  expect_as_the_package(from_folder("sentencepiece_json"), "sentencepiece_json");
}

TEST(TokenizerJson, BosAndEosComeFromTheConfigElseFromTheFileItself) {
  const Tokenizer by_template = from_folder("byte_level");  // its config does not say whether to add BOS
  ASSERT_TRUE(by_template.bos() && by_template.eos());
  EXPECT_EQ(by_template.encode("", {}), (Ids{*by_template.bos()}));
  EXPECT_EQ(by_template.eos(), by_template.id_of("</s>"));
  EXPECT_TRUE(by_template.is_control(*by_template.bos()));

  const std::string file = test_file("byte_level/tokenizer.json");
  const auto without = Tokenizer::from_json(file, R"({"bos_token": "<s>", "add_bos_token": false})", "x");
  EXPECT_TRUE(without.encode("", {}).empty());
  const auto bare = Tokenizer::from_json(file, "", "x");
  EXPECT_EQ(bare.encode("", {}).size(), 1u);
  EXPECT_FALSE(bare.eos());
}

TEST(TokenizerJson, DamagedFilesAreErrorsThatNameTheFile) {
  const std::string file = test_file("byte_level/tokenizer.json");
  for (const std::string& damaged : {std::string(), std::string("{}"), std::string("[1]"), file.substr(0, file.size() / 2),
                                     std::string(R"({"model": {"type": "BPE"}})")}) {
    try {
      Tokenizer::from_json(damaged, "", "folder/tokenizer.json");
      ADD_FAILURE() << damaged.substr(0, 40);
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), "folder/tokenizer.json");
    }
  }
  EXPECT_THROW(Tokenizer::from_json(file, "{\"bos_token\": 3}", "x"), Error);
  EXPECT_THROW(Tokenizer::from_json(file, "[", "x"), Error);
}

TEST(Tokenizer, ManyThreadsMayEncodeAtOnce) {
  const Tokenizer tokenizer = from_folder("byte_level");
  const std::string text = "It was on a dreary night of <s> November";
  const Ids plain = tokenizer.encode(text, {}), parsed = tokenizer.encode(text, {.parse_special = true});
  std::vector<std::thread> threads;
  std::array<int, 4> wrong = {};
  const Tokenizer fresh = from_folder("byte_level");
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        wrong[t] += fresh.encode(text, {.parse_special = (i + t) % 2 == 0}) != ((i + t) % 2 == 0 ? parsed : plain);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, (std::array<int, 4>{}));
}

}  // namespace
}  // namespace fovea::text
