// Token ids, one by one -> text, in pieces that can be printed as they come.
#pragma once

#include <cstdint>
#include <string>

namespace fovea::text {

class Tokenizer;

// Where the tokens stand: at the beginning of a text, or after others (a prompt) that were decoded before. At
// the beginning, vocabularies that put a space before a text take it away again.
enum class TextStart : uint8_t { beginning, continuation };

// Never ends a piece inside a code point. What cannot be UTF-8 comes out as U+FFFD: the pieces together are
// exactly what decoding everything at once gives.
//
// owner    refers to the tokenizer, which must outlive it
// threads  one at a time
class StreamingDetokenizer {
 public:
  explicit StreamingDetokenizer(const Tokenizer& tokenizer, bool show_special = false, TextStart start = TextStart::beginning);

  std::string push(int32_t id);  // text that is complete now, maybe empty; throws Error for an id that does not exist
  std::string finish();          // what was held back, an incomplete code point as U+FFFD

 private:
  const Tokenizer* tokenizer_;
  bool show_special_;
  bool drop_space_;
  std::string pending_;  // the beginning of a code point, at most three bytes
};

}  // namespace fovea::text
