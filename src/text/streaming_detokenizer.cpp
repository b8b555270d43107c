#include "text/streaming_detokenizer.h"

#include "text/tokenizer.h"
#include "text/utf8.h"

namespace fovea::text {

StreamingDetokenizer::StreamingDetokenizer(const Tokenizer& tokenizer, bool show_special, TextStart start)
    : tokenizer_(&tokenizer), show_special_(show_special), drop_space_(start == TextStart::beginning && tokenizer.has_space_prefix()) {}

std::string StreamingDetokenizer::push(int32_t id) {
  std::string bytes = tokenizer_->token_bytes(id, show_special_);
  if (drop_space_ && !bytes.empty()) {
    if (bytes[0] == ' ') bytes.erase(0, 1);
    drop_space_ = false;
  }
  pending_ += bytes;
  std::string complete;
  pending_.erase(0, append_repaired_utf8(pending_, complete));
  return complete;
}

std::string StreamingDetokenizer::finish() {
  std::string rest(pending_.empty() ? "" : kReplacementCharacter);
  pending_.clear();
  return rest;
}

}  // namespace fovea::text
