// Which token may come next, so that a text keeps to a grammar: the `llguidance` library (src/text/rust).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "text/rust/fovea_text.h"

namespace fovea::text {

class Tokenizer;

enum class GrammarKind : uint8_t { json_schema, lenient_json_schema, regex, lark };

// A vocabulary sorted for grammars: about a second and 85 MB for 262,144 tokens, another 50 MB while it is made.
//
// threads  immutable after construction
// errors   construction throws Error for a vocabulary without a token that ends a text
class GrammarVocabulary {
 public:
  explicit GrammarVocabulary(const Tokenizer& tokenizer);

  const FoveaGrammarVocabulary* get() const { return handle_.get(); }

 private:
  void sort(const Tokenizer& tokenizer);

  struct Free {
    void operator()(FoveaGrammarVocabulary* handle) const { fovea_grammar_vocabulary_free(handle); }
  };
  std::unique_ptr<FoveaGrammarVocabulary, Free> handle_;
};

// A text on its way. Keeps what it needs of the vocabulary.
//
// threads  one at a time; copies are independent
// errors   every method throws Error when bounds of work are reached; then the text cannot go on
class TokenGrammar {
 public:
  // errors: Error for a source that cannot be compiled or is too large
  TokenGrammar(const GrammarVocabulary& vocabulary, GrammarKind kind, std::string_view source);
  TokenGrammar(const TokenGrammar& other);
  TokenGrammar(TokenGrammar&&) noexcept = default;
  TokenGrammar& operator=(const TokenGrammar&) = delete;

  // Bit i % 32 of word i / 32: token i may come next; where the text is complete, only tokens that end it.
  void mask(std::span<uint32_t> words);
  bool accept(int32_t token);  // false: it is not allowed, and nothing changes
  bool is_complete() const;    // nothing but an end may follow

 private:
  struct Free {
    void operator()(FoveaGrammar* handle) const { fovea_grammar_free(handle); }
  };
  std::unique_ptr<FoveaGrammar, Free> handle_;
};

}  // namespace fovea::text
