// Plain text -> token ids: what differs between kinds of vocabularies.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace fovea::text {

// threads  immutable after construction
class Encoder {
 public:
  virtual ~Encoder() = default;
  // Appends the ids of `text`, which is UTF-8 and holds no special tokens that are to be parsed.
  // `after_token`: it stands at the beginning or right after a special token.
  virtual void encode(std::string_view text, bool after_token, std::vector<int32_t>& ids) const = 0;
};

}  // namespace fovea::text
