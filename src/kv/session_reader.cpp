#include <fmt/format.h>

#include <algorithm>

#include "fovea/error.h"
#include "kernels/kv_layout.h"
#include "kv/formula.h"
#include "kv/session_file.h"
#include "kv/session_record.h"

namespace fovea::kv {
namespace {

constexpr uint64_t kMostTokens = uint64_t{1} << 30;

}  // namespace

SessionReader::SessionReader(const std::string& path, Damage damage) : file_(path) {
  read_header();
  try {
    read_records();
  } catch (const Error& error) {
    if (damage == Damage::refused) throw;
    damage_ = error.problem();
  }
}

SessionReader::SessionReader(const std::string& path, const SessionKey& key, std::span<const GroupSpec> groups)
    : file_(path), wanted_key_(&key) {
  read_header();
  read_records();
  wanted_key_ = nullptr;
  const auto same_size = [](const GroupSpec& group, int64_t bytes) { return page_bytes(group) == bytes; };
  if (!std::ranges::equal(groups, page_bytes_, same_size)) refuse("the form of the session is not what its fingerprint says");
}

void SessionReader::refuse(const std::string& what) const {
  throw Error(what, file_.path(), "the session cannot be continued: delete the file or name another to begin anew");
}

void SessionReader::read_header() {
  SessionHeader header;
  if (!ByteReader(file_.bytes()).take(header) || std::memcmp(header.magic, kSessionMagic, sizeof kSessionMagic) != 0) {
    refuse("this is no session file");
  }
  if (header.version != kSessionVersion) {
    refuse(fmt::format("the session has format {}, and this program reads format {}", header.version, kSessionVersion));
  }
  if (header.checksum != checksum_before(header, header.checksum)) refuse("the header of the session is damaged");
  key_ = {header.model, header.cache};
  if (wanted_key_ && wanted_key_->model != key_.model) refuse("the session was saved with another model");
  if ((wanted_key_ && wanted_key_->cache != key_.cache) || header.page_tokens != kernels::kPageTokens) {
    refuse("the session was saved with other K/V codecs (--kv-local, --kv-global, --kv-newest) or another form of keys and pages");
  }
}

// Up to the last whole state. What a killed process left behind it is the beginning of something: a file that
// ends. Anything else that does not fit its checksum is damage.
void SessionReader::read_records() {
  ByteReader rest(file_.bytes().subspan(sizeof(SessionHeader)));
  SessionRecord record;
  std::span<const std::byte> payload;
  while (rest.take(record)) {
    if (record.checksum != checksum_before(record, record.checksum)) refuse("a record of the session is damaged");
    if (!rest.take(record.bytes, payload)) break;
    if (record.payload_checksum != checksum(payload)) refuse("the contents of the session are damaged");
    if ((record.kind == RecordKind::form) != groups_.empty()) refuse("the session does not begin with its form");
    switch (record.kind) {
      case RecordKind::form:
        read_form(payload);
        break;
      case RecordKind::page:
        read_page(record.group, payload);
        break;
      case RecordKind::state:
        read_state(payload);
        valid_bytes_ = static_cast<int64_t>(file_.bytes().size() - rest.left());
        break;
      default:
        refuse("the session has a record of an unknown kind");
    }
  }
  if (valid_bytes_ == 0) refuse("nothing was saved completely");
}

void SessionReader::read_form(std::span<const std::byte> payload) {
  if (!kv::read_form(payload, model_name_, groups_)) refuse("the form of the session makes no sense");
  for (const GroupSpec& group : groups_) page_bytes_.push_back(page_bytes(group));
}

void SessionReader::read_page(uint32_t group, std::span<const std::byte> payload) {
  if (group >= page_bytes_.size() || payload.size() != static_cast<size_t>(page_bytes_[group]))
    refuse("a page of the session has another size than the model's");
  pages_.emplace_back(static_cast<uint64_t>(payload.data() - file_.bytes().data()), group);
  ++counts_.pages;
}

void SessionReader::read_state(std::span<const std::byte> payload) {
  ByteReader rest(payload);
  SessionStateHead head;
  if (!rest.take(head) || head.groups != groups_.size() || head.tokens > kMostTokens || head.held > head.tokens)
    refuse("a state of the session makes no sense");
  SessionState state;
  std::vector<std::vector<uint64_t>> offsets(groups_.size());
  int64_t needed_bytes = 0;
  for (size_t group = 0; group < groups_.size(); ++group) {
    uint32_t first = 0, count = 0;
    if (!rest.take(first) || !rest.take(count) || first + uint64_t{count} > kMostTokens) refuse("a state of the session is too short");
    SessionGroup& pages = state.groups.emplace_back();
    pages.first_page = static_cast<int>(first);
    for (uint32_t i = 0; i < count; ++i) {
      uint64_t offset = 0;
      if (!rest.take(offset) || !std::ranges::binary_search(pages_, std::pair(offset, static_cast<uint32_t>(group)))) {
        refuse("a state of the session refers to no page");
      }
      offsets[group].push_back(offset);
      pages.pages.push_back(file_.bytes().data() + offset);
    }
    needed_bytes += page_bytes_[group] * count;
  }
  std::span<const std::byte> tokens, note;
  if (!rest.take(head.tokens * sizeof(int32_t), tokens) || !rest.take(head.note_bytes, note) || rest.left() != 0) {
    refuse("a state of the session has another length than it says");
  }
  tokens_.resize(head.tokens);
  if (!tokens.empty()) std::memcpy(tokens_.data(), tokens.data(), tokens.size());
  state.tokens = tokens_;
  state.held = static_cast<int>(head.held);
  state.note = {reinterpret_cast<const char*>(note.data()), note.size()};
  state_ = std::move(state);
  offsets_ = std::move(offsets);
  counts_.needed_bytes = needed_bytes;
  ++counts_.states;
}

}  // namespace fovea::kv
