#include <fmt/format.h>

#include <algorithm>

#include "fovea/error.h"
#include "kernels/kv_layout.h"
#include "kv/session_file.h"
#include "kv/session_record.h"

namespace fovea::kv {
namespace {

constexpr uint64_t kMostTokens = uint64_t{1} << 30;

// Takes values off the front of bytes; false when there are too few.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : left_(bytes) {}

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

}  // namespace

SessionReader::SessionReader(const std::string& path, const SessionKey& key,
                             std::span<const int64_t> page_bytes)
    : file_(path) {
  read_header(key);
  read_records(page_bytes);
}

void SessionReader::refuse(const std::string& what) const {
  throw Error(what, file_.path(),
              "the session cannot be continued: delete the file or name another to begin anew");
}

void SessionReader::read_header(const SessionKey& key) const {
  SessionHeader header;
  if (!Bytes(file_.bytes()).take(header) ||
      std::memcmp(header.magic, kSessionMagic, sizeof kSessionMagic) != 0) {
    refuse("this is no session file");
  }
  if (header.version != kSessionVersion) {
    refuse(fmt::format("the session has format {}, and this program reads format {}", header.version,
                       kSessionVersion));
  }
  if (header.checksum != checksum_before(header, header.checksum))
    refuse("the header of the session is damaged");
  if (header.model != key.model) refuse("the session was saved with another model");
  if (header.cache != key.cache || header.page_tokens != kernels::kPageTokens) {
    refuse("the session was saved with other K/V codecs (--kv-local, --kv-global) or pages");
  }
}

// Up to the last whole state. What a killed process left behind it is the beginning of something: a file that
// ends. Anything else that does not fit its checksum is damage.
void SessionReader::read_records(std::span<const int64_t> page_bytes) {
  Bytes rest(file_.bytes().subspan(sizeof(SessionHeader)));
  SessionRecord record;
  std::span<const std::byte> payload;
  while (rest.take(record)) {
    if (record.checksum != checksum_before(record, record.checksum))
      refuse("a record of the session is damaged");
    if (!rest.take(record.bytes, payload)) break;
    if (record.payload_checksum != checksum(payload)) refuse("the contents of the session are damaged");
    if (record.kind == RecordKind::page) {
      if (record.group >= page_bytes.size() ||
          record.bytes != static_cast<uint64_t>(page_bytes[record.group])) {
        refuse("a page of the session has another size than the model's");
      }
      pages_.push_back(static_cast<uint64_t>(payload.data() - file_.bytes().data()));
    } else if (record.kind == RecordKind::state) {
      read_state(payload, page_bytes);
      valid_bytes_ = static_cast<int64_t>(file_.bytes().size() - rest.left());
    } else {
      refuse("the session has a record of an unknown kind");
    }
  }
  if (valid_bytes_ == 0) refuse("nothing was saved completely");
}

void SessionReader::read_state(std::span<const std::byte> payload, std::span<const int64_t> page_bytes) {
  Bytes rest(payload);
  SessionStateHead head;
  if (!rest.take(head) || head.groups != page_bytes.size() || head.tokens > kMostTokens ||
      head.held > head.tokens) {
    refuse("a state of the session makes no sense");
  }
  state_.groups.assign(page_bytes.size(), {});
  offsets_.assign(page_bytes.size(), {});
  for (size_t group = 0; group < page_bytes.size(); ++group) {
    uint32_t first = 0, count = 0;
    if (!rest.take(first) || !rest.take(count) || first + uint64_t{count} > kMostTokens)
      refuse("a state of the session is too short");
    state_.groups[group].first_page = static_cast<int>(first);
    for (uint32_t i = 0; i < count; ++i) {
      uint64_t offset = 0;
      if (!rest.take(offset) || !std::ranges::binary_search(pages_, offset))
        refuse("a state of the session refers to no page");
      offsets_[group].push_back(offset);
      state_.groups[group].pages.push_back(file_.bytes().data() + offset);
    }
  }
  std::span<const std::byte> tokens, note;
  if (!rest.take(head.tokens * sizeof(int32_t), tokens) || !rest.take(head.note_bytes, note) ||
      rest.left() != 0) {
    refuse("a state of the session has another length than it says");
  }
  tokens_.resize(head.tokens);
  if (!tokens.empty()) std::memcpy(tokens_.data(), tokens.data(), tokens.size());
  state_.tokens = tokens_;
  state_.held = static_cast<int>(head.held);
  state_.note = {reinterpret_cast<const char*>(note.data()), note.size()};
}

}  // namespace fovea::kv
