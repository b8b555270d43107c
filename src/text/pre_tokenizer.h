// How byte-level vocabularies cut a text into pieces before merging, by the name in the file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fovea::text {

struct PreTokenizer {
  std::vector<std::string_view> splits;  // regular expressions, each cutting the pieces that the one before left
  bool whole_words;                      // a piece that is a token is taken as it is, without merging
  bool adds_bos;                         // what a file means that does not say whether to put BOS first
};

// errors  throws Error for a name that is not known, listing those that are
PreTokenizer pre_tokenizer_named(std::string_view name, const std::string& source);

// A name for cutting in this way, the reverse of the above; empty when none is known.
std::string_view pre_tokenizer_name(const std::vector<std::string>& splits, bool whole_words);

}  // namespace fovea::text
