// A sequence in a file: its tokens, its pages, and a note. The format is described in docs/session-format.md.
//
// A file is a log: pages, then a state that refers to them. The last whole state counts. Saving again appends
// what is new; whatever moment a process is killed at, the states before stay as they were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "kv/spec.h"

namespace fovea::kv {

// The weights that keys and values were computed with.
struct SessionModel {
  uint64_t fingerprint = 0;
  std::string_view name = {};  // for people
};

// What a session can be continued with, and nothing else.
struct SessionKey {
  uint64_t model = 0;  // fingerprint of the weights
  uint64_t cache = 0;  // fingerprint of the groups
  bool operator==(const SessionKey&) const = default;
};
SessionKey session_key(uint64_t model, std::span<const GroupSpec> groups);

struct SessionGroup {
  int first_page = 0;
  std::vector<const std::byte*> pages;
};

struct SessionState {
  std::span<const int32_t> tokens;
  int held = 0;                      // of them, whose keys and values are there
  std::string_view note;             // the program's own
  std::vector<SessionGroup> groups;  // pages that a sequence of length `held` holds; a state is one page
};

// What records of a file hold, whether the last state needs them or not.
struct SessionCounts {
  int states = 0;
  int64_t pages = 0;
  int64_t needed_bytes = 0;  // of the pages of the last state
};

enum class Damage : uint8_t { refused, told };

// owner   maps the file: the state's spans die with it
// errors  Error (what is wrong, where, how to mend it) for whatever is not a whole session. With Damage::told only for
//         what is no session of this format at all: what is damaged is told by damage(), and the states before it count
class SessionReader {
 public:
  explicit SessionReader(const std::string& path, Damage damage = Damage::refused);
  // A session of this key and these groups.
  SessionReader(const std::string& path, const SessionKey& key, std::span<const GroupSpec> groups);

  const SessionKey& key() const { return key_; }
  std::string_view model_name() const { return model_name_; }
  const std::vector<GroupSpec>& groups() const { return groups_; }
  const SessionState& state() const { return state_; }
  const SessionCounts& counts() const { return counts_; }
  const std::string& damage() const { return damage_; }  // empty: every checksum fits
  int64_t file_bytes() const { return static_cast<int64_t>(file_.bytes().size()); }
  int64_t valid_bytes() const { return valid_bytes_; }  // up to the end of the last state; 0: there is none
  // Where page i of a group's pages lies in the file.
  uint64_t offset(size_t group, size_t i) const { return offsets_[group][i]; }

 private:
  void read_header();
  void read_records();
  void read_form(std::span<const std::byte> payload);
  void read_page(uint32_t group, std::span<const std::byte> payload);
  void read_state(std::span<const std::byte> payload);
  [[noreturn]] void refuse(const std::string& what) const;

  MappedFile file_;
  const SessionKey* wanted_key_ = nullptr;  // while it is read
  SessionKey key_;
  std::string model_name_;
  std::vector<GroupSpec> groups_;  // of the file; empty until its form is read
  std::vector<int64_t> page_bytes_;
  SessionState state_;
  SessionCounts counts_;
  std::string damage_;
  std::vector<int32_t> tokens_;                       // of the state; in the file they may lie on any byte
  std::vector<std::pair<uint64_t, uint32_t>> pages_;  // so far: offset of the payload, group
  std::vector<std::vector<uint64_t>> offsets_;
  int64_t valid_bytes_ = 0;
};

// Saves the state: appended to `path` if that holds an earlier state of the same sequence and not mostly what
// is not needed any more, else written aside and renamed. errors: Error when the file cannot be written or is
// in use, or is there and no session of this model and these groups
void write_session(const std::string& path, const SessionModel& model, std::span<const GroupSpec> groups, const SessionState& state);

}  // namespace fovea::kv
