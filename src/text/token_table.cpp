#include "text/token_table.h"

#include <bit>
#include <cstring>
#include <limits>

#include "fovea/error.h"

namespace fovea::text {
namespace {

// Eight bytes at a time; the size is mixed in, so that padding with zeros changes nothing that matters.
uint64_t hash_of(std::string_view text) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15u;
  uint64_t hash = text.size() * kOdd;
  for (; text.size() >= 8; text.remove_prefix(8)) {
    uint64_t block;
    std::memcpy(&block, text.data(), 8);
    hash = (hash ^ block) * kOdd;
    hash ^= hash >> 32;
  }
  uint64_t rest = 0;
  if (!text.empty()) std::memcpy(&rest, text.data(), text.size());
  hash = (hash ^ rest) * kOdd;
  return hash ^ (hash >> 29);
}

}  // namespace

TokenTable::TokenTable(const std::vector<std::string>& texts, const std::string& source) {
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  if (bytes > std::numeric_limits<uint32_t>::max()) {
    throw Error("the token texts have " + std::to_string(bytes) + " bytes", source, "use a file below 4 GiB of text");
  }
  texts_.reserve(bytes);
  ends_.reserve(texts.size());
  slots_.resize(std::bit_ceil(texts.size() * 2 + 1));
  for (const std::string& text : texts) {
    texts_ += text;
    ends_.push_back(static_cast<uint32_t>(texts_.size()));
    if (!text.empty()) index(size() - 1);
  }
}

void TokenTable::index(int32_t id) {
  const uint64_t hash = hash_of(text(id));
  const uint32_t tag = static_cast<uint32_t>(hash >> 32);
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].id >= 0 && (slots_[at].hash != tag || text(slots_[at].id) != text(id))) {
    at = (at + 1) & (slots_.size() - 1);
  }
  slots_[at] = {tag, id};
}

std::optional<int32_t> TokenTable::find(std::string_view wanted) const {
  if (slots_.empty()) return std::nullopt;
  const uint64_t hash = hash_of(wanted);
  const uint32_t tag = static_cast<uint32_t>(hash >> 32);
  for (size_t at = hash & (slots_.size() - 1); slots_[at].id >= 0; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].hash == tag && text(slots_[at].id) == wanted) return slots_[at].id;
  }
  return std::nullopt;
}

}  // namespace fovea::text
