// Finds the tokens that stand in a text as they are, before anything is merged.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/token_table.h"
#include "text/vocabulary.h"

namespace fovea::text {

inline constexpr int32_t kPlainText = -1;

// A part of a text: one token, or plain text between tokens.
struct TextPiece {
  std::string_view text;
  int32_t token;  // kPlainText: still to be encoded
};

// Control, unknown and user-defined tokens. Where several match, the longest one wins, wherever in the text
// it stands; among equally long ones the leftmost. Control and unknown tokens count only where special tokens
// are parsed.
//
// threads  immutable after construction. REQUIRES that `tokens` outlives it, and one kind per token
class SpecialTokens {
 public:
  SpecialTokens(const TokenTable& tokens, std::vector<TokenKind> kinds);

  // The parts of `text` in order; views into it.
  std::vector<TextPiece> split(std::string_view text, bool parse_special) const;

 private:
  std::vector<size_t> candidates(std::string_view text) const;
  bool applies(int32_t id, bool parse_special) const;

  const TokenTable* tokens_;
  std::vector<TokenKind> kinds_;
  std::vector<size_t> sizes_;                    // of all special tokens, each once, longest first
  std::array<std::vector<bool>, 256> has_size_;  // by first byte, then like sizes_
  std::bitset<65536> beginnings_;                // the first two bytes of any special token
};

}  // namespace fovea::text
