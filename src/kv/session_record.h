// The bytes of a session file, as docs/session-format.md has them. All numbers are little-endian.
#pragma once

#include <openssl/sha.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kv/spec.h"

namespace fovea::kv {

inline constexpr char kSessionMagic[8] = {'f', 'o', 'v', 'e', 'a', '-', 'k', 'v'};
inline constexpr uint32_t kSessionVersion = 2;

struct SessionHeader {
  char magic[8];
  uint32_t version;
  uint32_t page_tokens;
  uint64_t model, cache;
  uint64_t checksum;  // of what is before
};
static_assert(sizeof(SessionHeader) == 40);

enum class RecordKind : uint32_t { page = 1, state = 2, form = 3 };

struct SessionRecord {
  RecordKind kind;
  uint32_t group;  // of a page
  uint64_t bytes;  // of the payload that follows
  uint64_t payload_checksum;
  uint64_t checksum;  // of what is before
};
static_assert(sizeof(SessionRecord) == 32);

// Payload of a state: this, then per group {uint32 first page, uint32 pages, uint64 offset of each page's
// payload}, then the tokens as int32, then the note.
struct SessionStateHead {
  uint64_t tokens, held, note_bytes;
  uint64_t groups;
};

// Takes values off the front of bytes; false when there are too few.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : left_(bytes) {}

  template <typename T> bool take(T& value) {
    if (left_.size() < sizeof value) return false;
    std::memcpy(&value, left_.data(), sizeof value);
    left_ = left_.subspan(sizeof value);
    return true;
  }
  bool take(size_t count, std::span<const std::byte>& part) {
    if (left_.size() < count) return false;
    part = left_.first(count);
    left_ = left_.subspan(count);
    return true;
  }
  size_t left() const { return left_.size(); }

 private:
  std::span<const std::byte> left_;
};

// Payload of the form, the first record: what a page of each group holds, and what the model is called.
std::string form_bytes(std::string_view model_name, std::span<const GroupSpec> groups);
// False when the bytes are no form.
bool read_form(std::span<const std::byte> payload, std::string& model_name, std::vector<GroupSpec>& groups);

// The first 8 bytes of SHA-256.
inline uint64_t checksum(std::span<const std::byte> bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  uint64_t first = 0;
  std::memcpy(&first, digest, sizeof first);
  return first;
}

template <typename T> uint64_t checksum_before(const T& of, const uint64_t& field) {
  const auto* begin = reinterpret_cast<const std::byte*>(&of);
  return checksum({begin, static_cast<size_t>(reinterpret_cast<const std::byte*>(&field) - begin)});
}

}  // namespace fovea::kv
