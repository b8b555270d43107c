#include "text/token_grammar.h"

#include <gtest/gtest.h>

#include <vector>

#include "fovea/error.h"
#include "text/tokenizer.h"

namespace fovea::text {
namespace {

// Letters of JSON, two words, a control token that ends texts and one that does not.
Tokenizer small_tokenizer() {
  Vocabulary vocabulary;
  vocabulary.source = "test";
  vocabulary.model = "gpt2";
  vocabulary.pre_tokenizer = "smollm";
  for (const char* token : {"{", "}", "\"", ":", "a", "1", "true", "tru", "e", "<|endoftext|>", "<|other|>"})
    vocabulary.tokens.emplace_back(token);
  vocabulary.kinds.assign(vocabulary.tokens.size(), TokenKind::normal);
  vocabulary.kinds[9] = vocabulary.kinds[10] = TokenKind::control;
  vocabulary.eos = 9;
  return Tokenizer::from_vocabulary(vocabulary);
}

std::vector<int> allowed(TokenGrammar& grammar) {
  std::vector<uint32_t> words(2, ~0u);
  grammar.mask(words);
  std::vector<int> tokens;
  for (int i = 0; i < 64; ++i) {
    if (words[static_cast<size_t>(i) / 32] >> (i % 32) & 1) tokens.push_back(i);
  }
  return tokens;
}

TEST(TokenGrammar, AllowsTheTokensWhoseTextGoesOnAndTheEndWhereItIsComplete) {
  const GrammarVocabulary vocabulary(small_tokenizer());
  TokenGrammar grammar(vocabulary, GrammarKind::regex, "true|a1*");
  EXPECT_EQ(allowed(grammar), (std::vector<int>{4, 6, 7}));
  TokenGrammar other = grammar;
  EXPECT_FALSE(grammar.accept(5));
  EXPECT_TRUE(grammar.accept(7));
  EXPECT_EQ(allowed(grammar), (std::vector<int>{8}));
  EXPECT_FALSE(grammar.is_complete());
  EXPECT_TRUE(grammar.accept(8));
  EXPECT_TRUE(grammar.is_complete());
  EXPECT_EQ(allowed(grammar), (std::vector<int>{9}));
  EXPECT_TRUE(other.accept(4));
  EXPECT_EQ(allowed(other), (std::vector<int>{5, 9}));
  EXPECT_TRUE(other.accept(5));
  EXPECT_EQ(allowed(other), (std::vector<int>{5, 9}));
}

TEST(TokenGrammar, ASourceThatCannotBeCompiledIsRefusedWithTheReason) {
  const GrammarVocabulary vocabulary(small_tokenizer());
  try {
    TokenGrammar(vocabulary, GrammarKind::json_schema, R"({"type": "nonsense"})");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.problem().find("nonsense"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace fovea::text
