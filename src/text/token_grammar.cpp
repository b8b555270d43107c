#include "text/token_grammar.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <string>
#include <vector>

#include "fovea/error.h"
#include "text/owned_text.h"
#include "text/tokenizer.h"

namespace fovea::text {
namespace {

constexpr const char* kSimplify = "make the grammar simpler";

void require(bool done, const OwnedText& error) {
  if (!done) throw Error("the grammar cannot go on: " + error.copy(), "grammar", kSimplify);
}

// Sorting takes three times what is kept: without this that stays with the process.
void return_free_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace

GrammarVocabulary::GrammarVocabulary(const Tokenizer& tokenizer) {
  sort(tokenizer);
  return_free_memory();
}

void GrammarVocabulary::sort(const Tokenizer& tokenizer) {
  const int size = tokenizer.vocabulary_size();
  std::vector<std::string> bytes;
  bytes.reserve(static_cast<size_t>(size));
  std::vector<FoveaSpan> spans;
  const auto is_control = std::make_unique<bool[]>(static_cast<size_t>(size));
  for (int32_t token = 0; token < size; ++token) {
    bytes.push_back(tokenizer.token_bytes(token, true));
    is_control[static_cast<size_t>(token)] = tokenizer.token_bytes(token, false).empty();
  }
  for (const std::string& token : bytes) spans.push_back(span(token));
  const std::vector<uint32_t> ends(tokenizer.end_tokens().begin(), tokenizer.end_tokens().end());
  OwnedText error;
  handle_.reset(fovea_grammar_vocabulary_new(spans.data(), is_control.get(), spans.size(), ends.data(), ends.size(), &error.text));
  if (!handle_)
    throw Error("grammars cannot be used with this vocabulary: " + error.copy(), "tokenizer", "use a model that ends its texts");
}

TokenGrammar::TokenGrammar(const GrammarVocabulary& vocabulary, GrammarKind kind, std::string_view source) {
  OwnedText error;
  handle_.reset(fovea_grammar_new(vocabulary.get(), static_cast<FoveaGrammarKind>(kind), span(source), &error.text));
  if (!handle_) throw Error(error.copy(), "grammar", "correct or simplify it");
}

TokenGrammar::TokenGrammar(const TokenGrammar& other) {
  OwnedText error;
  handle_.reset(fovea_grammar_copy(other.handle_.get(), &error.text));
  require(handle_ != nullptr, error);
}

void TokenGrammar::mask(std::span<uint32_t> words) {
  OwnedText error;
  require(fovea_grammar_mask(handle_.get(), words.data(), words.size(), &error.text), error);
}

bool TokenGrammar::accept(int32_t token) {
  OwnedText error;
  const auto id = static_cast<uint32_t>(token);
  size_t accepted = 0;
  require(fovea_grammar_accept(handle_.get(), &id, 1, &accepted, &error.text), error);
  return accepted == 1;
}

bool TokenGrammar::is_complete() const { return fovea_grammar_is_complete(handle_.get()); }

}  // namespace fovea::text
