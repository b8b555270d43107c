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

namespace fovea::kv {

// What a session can be continued with, and nothing else.
struct SessionKey {
  uint64_t model = 0;  // fingerprint of the weights
  uint64_t cache = 0;  // fingerprint of groups, shapes, codecs and page size
  bool operator==(const SessionKey&) const = default;
};

struct SessionGroup {
  int first_page = 0;
  std::vector<const std::byte*> pages;
};

struct SessionState {
  std::span<const int32_t> tokens;
  int held = 0;                      // of them, whose keys and values are there
  std::string_view note;             // the program's own
  std::vector<SessionGroup> groups;  // pages that a sequence of length `held` holds
};

// owner   maps the file: the state's spans die with it
// errors  Error (what is wrong, where, how to mend it) for whatever is not a whole session of this key
class SessionReader {
 public:
  SessionReader(const std::string& path, const SessionKey& key, std::span<const int64_t> page_bytes);

  const SessionState& state() const { return state_; }
  int64_t valid_bytes() const { return valid_bytes_; }  // up to the end of the last state
  // Where page i of a group's pages lies in the file.
  uint64_t offset(size_t group, size_t i) const { return offsets_[group][i]; }

 private:
  void read_header(const SessionKey& key) const;
  void read_records(std::span<const int64_t> page_bytes);
  void read_state(std::span<const std::byte> payload, std::span<const int64_t> page_bytes);
  [[noreturn]] void refuse(const std::string& what) const;

  MappedFile file_;
  SessionState state_;
  std::vector<int32_t> tokens_;  // of the state; in the file they may lie on any byte
  std::vector<uint64_t> pages_;  // offsets of page payloads so far
  std::vector<std::vector<uint64_t>> offsets_;
  int64_t valid_bytes_ = 0;
};

// Saves the state: appended to `path` if that holds an earlier state of the same sequence and not mostly what
// is not needed any more, else written aside and renamed. errors: Error when the file cannot be written or is
// in use
void write_session(const std::string& path, const SessionKey& key, std::span<const int64_t> page_bytes,
                   const SessionState& state);

}  // namespace fovea::kv
