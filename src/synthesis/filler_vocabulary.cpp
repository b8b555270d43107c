#include "synthesis/filler_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace fovea::synthesis {
namespace {

enum TokenType : int32_t { kNormal = 1, kUnknownType = 2, kControl = 3, kByte = 6 };

constexpr int64_t kLetters = 26;
constexpr const char* kVisibleSpace = "\u2581";

// The index-th word over a..z in order of length, then alphabet: a is 0, z 25, aa 26.
std::string word(int64_t index) {
  std::string letters;
  for (int64_t rest = index + 1; rest > 0; rest = (rest - 1) / kLetters) {
    letters += static_cast<char>('a' + (rest - 1) % kLetters);
  }
  std::reverse(letters.begin(), letters.end());
  return letters;
}

class Builder {
 public:
  explicit Builder(int tokens) : limit_(static_cast<size_t>(tokens)) {}

  bool is_full() const { return made_.tokens.size() == limit_; }
  FillerVocabulary take() { return std::move(made_); }

  void add_special(const char* text, TokenType type) { add(text, 0, type); }
  void add_byte(int byte) { add(fmt::format("<0x{:02X}>", byte), 0, kByte); }
  // Earlier ones are merged first.
  void add_normal(std::string text) { add(std::move(text), -static_cast<float>(made_.tokens.size()), kNormal); }

 private:
  void add(std::string text, float score, TokenType type) {
    made_.tokens.push_back(std::move(text));
    made_.scores.push_back(score);
    made_.types.push_back(type);
  }

  size_t limit_;
  FillerVocabulary made_;
};

}  // namespace

FillerVocabulary filler_vocabulary(int tokens) {
  assert(tokens >= FillerVocabulary::kLeastTokens);
  Builder vocabulary(tokens);
  vocabulary.add_special("<pad>", kControl);
  vocabulary.add_special("<eos>", kControl);
  vocabulary.add_special("<bos>", kControl);
  vocabulary.add_special("<unk>", kUnknownType);
  for (int byte = 0; byte < 256; ++byte) vocabulary.add_byte(byte);
  vocabulary.add_normal(kVisibleSpace);
  for (char letter = '!'; letter <= '~' && !vocabulary.is_full(); ++letter) vocabulary.add_normal({letter});
  for (int64_t index = kLetters; !vocabulary.is_full(); ++index) vocabulary.add_normal(word(index));
  return vocabulary.take();
}

}  // namespace fovea::synthesis
