// tokenizer.model: a SentencePiece model of the BPE kind, as a vocabulary.
#pragma once

#include <string>
#include <string_view>

#include "text/vocabulary.h"

namespace fovea::text {

// The file is a protocol buffer; the few fields that matter are read by hand, and every length is checked.
// errors  throws Error naming `source` for bytes that are no such model, and for what this engine does not
// do:
//         other kinds than BPE, and models that normalize the text
Vocabulary parse_sentencepiece_model(std::string_view model, const std::string& source);

}  // namespace fovea::text
