// Token texts by id, and ids by text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::text {

// All texts lie in one block of memory and the index is one flat array, so that a vocabulary of 262,144
// tokens is ready in a few milliseconds.
//
// threads  immutable after construction
// errors   throws Error when the texts together have 4 GiB or more
class TokenTable {
 public:
  TokenTable() = default;
  TokenTable(const std::vector<std::string>& texts, const std::string& source);

  int32_t size() const { return static_cast<int32_t>(ends_.size()); }
  std::string_view text(int32_t id) const {  // REQUIRES 0 <= id < size()
    const size_t index = static_cast<size_t>(id);
    const uint32_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(texts_).substr(begin, ends_[index] - begin);
  }
  // The token with exactly this text; of several the last. Empty texts are not found.
  std::optional<int32_t> find(std::string_view text) const;

 private:
  struct Slot {
    uint32_t hash = 0;  // compared before the text is looked at
    int32_t id = -1;
  };
  void index(int32_t id);

  std::string texts_;
  std::vector<uint32_t> ends_;  // of each text in texts_
  std::vector<Slot> slots_;     // open addressing; the size is a power of two, at least twice the tokens
};

}  // namespace fovea::text
