// Control tokens known by their text.
#pragma once

#include <cstdint>
#include <vector>

#include "text/token_table.h"
#include "text/vocabulary.h"

namespace fovea::text {

// `kinds`, with control for every token whose text is that of a control token, whatever the file says:
// converters are known to mark them wrongly, and a text must not be able to end a turn. Decides only what is
// parsed, as in llama.cpp.
std::vector<TokenKind> kinds_for_parsing(const TokenTable& tokens, std::vector<TokenKind> kinds);

// The control tokens that end a turn or a text, in ascending order.
std::vector<int32_t> end_tokens_among(const TokenTable& tokens, const std::vector<TokenKind>& kinds);

}  // namespace fovea::text
