// tokenizer.json of the tokenizers library -> a plain vocabulary.
#pragma once

#include <string>
#include <string_view>

#include "text/vocabulary.h"

namespace fovea::conversion {

// Tokens, kinds, merges or scores, how texts are cut, whether they get a space; not which tokens stand around a text.
// pre_tokenizer  as in folder_vocabulary.h
// errors  Error naming the part for tokenizers that are not byte-level or SentencePiece-like BPE
text::Vocabulary parse_tokenizer_json(std::string_view json, const std::string& source, const std::string& pre_tokenizer);

}  // namespace fovea::conversion
