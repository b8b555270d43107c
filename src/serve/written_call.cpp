#include "serve/written_call.h"

#include <algorithm>

namespace fovea::serve {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr size_t kLongestHead = 512;

// Reads what has to come next; false: it does not, or not yet.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool expect(std::string_view wanted) {
    skip_blanks();
    const std::string_view there = text_.substr(at_, wanted.size());
    ended_ = there.size() < wanted.size();
    if (there != wanted.substr(0, there.size())) ended_ = false;
    if (there != wanted) return false;
    at_ += wanted.size();
    return true;
  }
  bool expect_either(std::string_view one, std::string_view other) {
    if (expect(one)) return true;
    const bool may_come = ended_;
    if (expect(other)) return true;
    ended_ = ended_ || may_come;
    return false;
  }
  // A name needs no escapes.
  bool expect_name(std::string& name) {
    if (!expect("\"")) return false;
    const size_t end = text_.find_first_of("\"\\", at_);
    ended_ = end == std::string_view::npos;
    if (ended_ || text_[end] == '\\') return false;
    name = text_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
  }
  bool ended() const { return ended_; }  // the text did, where more was expected
  size_t at() const { return at_; }

 private:
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(kBlanks, at_), text_.size()); }

  std::string_view text_;
  size_t at_ = 0;
  bool ended_ = false;
};

}  // namespace

CallHead call_head(std::string_view text) {
  text = text.substr(0, kLongestHead);
  Reader reader(text);
  CallHead head;
  const bool complete = reader.expect("{") && reader.expect("\"name\"") && reader.expect(":") && reader.expect_name(head.name) &&
                        reader.expect(",") && reader.expect_either("\"arguments\"", "\"parameters\"") && reader.expect(":") &&
                        reader.expect("{");
  head.state = complete                                       ? CallHead::State::complete
               : reader.ended() && text.size() < kLongestHead ? CallHead::State::unfinished
                                                              : CallHead::State::other;
  if (complete) head.arguments = reader.at() - 1;
  return head;
}

size_t WrittenArguments::take(std::string_view text) {
  size_t taken = 0;
  for (; taken < text.size() && !complete(); ++taken) {
    const char c = text[taken];
    begun_ = true;
    if (in_text_) {
      in_text_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
    } else if (c == '"') {
      in_text_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']') {
      --depth_;
    }
  }
  return taken;
}

}  // namespace fovea::serve
