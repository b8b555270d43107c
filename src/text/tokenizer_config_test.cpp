#include "text/tokenizer_config.h"

#include <gtest/gtest.h>

#include "fovea/error.h"

namespace fovea::text {
namespace {

TEST(TokenizerConfig, TokensAreTextsOrObjects) {
  const auto config = parse_tokenizer_config(
      R"({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "add_bos_token": true, "x": 1})", "x");
  EXPECT_EQ(config.bos_token, "<s>");
  EXPECT_EQ(config.eos_token, "</s>");
  EXPECT_EQ(config.add_bos, true);
  EXPECT_FALSE(config.add_eos || config.chat_template);
}

TEST(TokenizerConfig, NullAndAbsentMeanTheSame) {
  EXPECT_FALSE(parse_tokenizer_config(R"({"bos_token": null})", "x").bos_token);
  EXPECT_FALSE(parse_tokenizer_config("", "x").bos_token);
}

TEST(TokenizerConfig, OfSeveralTemplatesTheDefaultIsTaken) {
  const auto config =
      parse_tokenizer_config(R"({"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]})", "x");
  EXPECT_EQ(config.chat_template, "d");
  EXPECT_EQ(parse_tokenizer_config(R"({"chat_template": "one"})", "x").chat_template, "one");
}

TEST(TokenizerConfig, WrongKindsAreNamed) {
  for (const char* json : {"[", "[]", R"({"eos_token": 3})", R"({"add_bos_token": "yes"})", R"({"chat_template": 1})"}) {
    EXPECT_THROW(parse_tokenizer_config(json, "x"), Error) << json;
  }
}

}  // namespace
}  // namespace fovea::text
