#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "fovea/error.h"
#include "kernels/kv_layout.h"
#include "kv/formula.h"
#include "kv/session_file.h"
#include "kv/session_record.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

constexpr double kMostDead = 0.5;  // share of a file that nothing refers to, before it is written anew

std::span<const std::byte> bytes_of(const auto& value) { return std::as_bytes(std::span(&value, 1)); }

// A file that is written from its end on, by one program at a time.
class Log {
 public:
  Log(const std::string& path, int flags) : path_(path), file_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (file_ < 0) fail("cannot be written");
    if (flock(file_, LOCK_EX | LOCK_NB) != 0 || !is_at(path)) {
      close(file_);
      throw Error("the session is in use by another program", path, "wait for it, or name another file");
    }
  }
  ~Log() { close(file_); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void begin_at(int64_t end) {
    if (ftruncate(file_, end) != 0 || lseek(file_, end, SEEK_SET) != end) fail("cannot be shortened");
    end_ = static_cast<uint64_t>(end);
  }
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(file_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("cannot be written");
      bytes = bytes.subspan(static_cast<size_t>(count));
      end_ += static_cast<uint64_t>(count);
    }
  }
  // Says where the payload lies.
  uint64_t write_record(RecordKind kind, size_t group, std::span<const std::byte> payload) {
    SessionRecord record = {kind, static_cast<uint32_t>(group), payload.size(), checksum(payload), 0};
    record.checksum = checksum_before(record, record.checksum);
    write(bytes_of(record));
    const uint64_t offset = end_;
    write(payload);
    return offset;
  }
  void sync() const {
    if (fdatasync(file_) != 0) fail("cannot be written");
  }

 private:
  // False: somebody renamed or replaced the file before we had it.
  bool is_at(const std::string& path) const {
    struct stat ours, there;
    return fstat(file_, &ours) == 0 && stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
  }
  [[noreturn]] void fail(const char* what) const {
    throw Error(fmt::format("the session {}: {}", what, std::strerror(errno)), path_, "check the folder and the room on the disk");
  }

  std::string path_;
  int file_;
  uint64_t end_ = 0;
};

int common_tokens(std::span<const int32_t> a, std::span<const int32_t> b) {
  const auto most = static_cast<ptrdiff_t>(std::min(a.size(), b.size()));
  return static_cast<int>(std::mismatch(a.begin(), a.begin() + most, b.begin()).first - a.begin());
}

// Pages that an earlier state in the same file holds already.
struct Earlier {
  const SessionReader* file = nullptr;
  int common = 0;  // positions that agree

  std::optional<uint64_t> find(size_t group, int page) const {
    if (!file || file->groups()[group].state_bytes > 0 || (page + 1) * kPageTokens > common)
      return std::nullopt;  // a state, and a page that was not full, are written again
    const SessionGroup& known = file->state().groups[group];
    const int at = page - known.first_page;
    if (at < 0 || at >= static_cast<int>(known.pages.size())) return std::nullopt;
    return file->offset(group, static_cast<size_t>(at));
  }
};

void append_state(Log& log, const Earlier& earlier, std::span<const GroupSpec> groups, const SessionState& state) {
  std::vector<std::byte> payload;
  const auto add = [&payload](std::span<const std::byte> bytes) { payload.insert(payload.end(), bytes.begin(), bytes.end()); };
  const SessionStateHead head = {state.tokens.size(), static_cast<uint64_t>(state.held), state.note.size(), state.groups.size()};
  add(bytes_of(head));
  for (size_t group = 0; group < state.groups.size(); ++group) {
    const SessionGroup& pages = state.groups[group];
    add(bytes_of(static_cast<uint32_t>(pages.first_page)));
    add(bytes_of(static_cast<uint32_t>(pages.pages.size())));
    for (size_t i = 0; i < pages.pages.size(); ++i) {
      std::optional<uint64_t> offset = earlier.find(group, pages.first_page + static_cast<int>(i));
      if (!offset) {
        offset = log.write_record(RecordKind::page, group, {pages.pages[i], static_cast<size_t>(page_bytes(groups[group]))});
      }
      add(bytes_of(*offset));
    }
  }
  add(std::as_bytes(state.tokens));
  add(std::as_bytes(std::span(state.note)));
  log.sync();  // the state must not be there before its pages
  log.write_record(RecordKind::state, 0, payload);
  log.sync();
}

int64_t live_bytes(std::span<const GroupSpec> groups, const SessionState& state) {
  int64_t bytes = 0;
  for (size_t group = 0; group < state.groups.size(); ++group) {
    bytes += page_bytes(groups[group]) * static_cast<int64_t>(state.groups[group].pages.size());
  }
  return bytes;
}

// Written aside under one name, so that what a killed process left there is overwritten by the next.
void write_anew(const std::string& path, const SessionModel& model, std::span<const GroupSpec> groups, const SessionState& state) {
  const std::string aside = path + ".part";
  Log log(aside, O_RDWR | O_CREAT);
  try {
    log.begin_at(0);
    const SessionKey key = session_key(model.fingerprint, groups);
    SessionHeader header = {{}, kSessionVersion, kPageTokens, key.model, key.cache, 0};
    std::memcpy(header.magic, kSessionMagic, sizeof header.magic);
    header.checksum = checksum_before(header, header.checksum);
    log.write(bytes_of(header));
    const std::string form = form_bytes(model.name, groups);
    log.write_record(RecordKind::form, 0, std::as_bytes(std::span(form)));
    append_state(log, {}, groups, state);
    std::filesystem::rename(aside, path);
  } catch (const std::filesystem::filesystem_error& error) {
    std::filesystem::remove(aside);
    throw Error(fmt::format("the session cannot be put in its place: {}", error.code().message()), path, "check the folder");
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(aside, ignored);
    throw;
  }
}

}  // namespace

void write_session(const std::string& path, const SessionModel& model, std::span<const GroupSpec> groups, const SessionState& state) {
  std::error_code absent;
  const auto there = std::filesystem::file_size(path, absent);
  if (absent || there == 0) return write_anew(path, model, groups, state);
  Log log(path, O_RDWR);  // before it is read, so that nobody else appends in between
  // What cannot be continued is not overwritten either.
  const SessionReader file(path, session_key(model.fingerprint, groups), groups);
  Earlier earlier = {&file, common_tokens(file.state().tokens, state.tokens)};
  earlier.common = std::min({earlier.common, file.state().held, state.held});
  const int64_t live = live_bytes(groups, state);
  const auto after = static_cast<double>(file.valid_bytes() + live - file.counts().needed_bytes);
  if (earlier.common == 0 || static_cast<double>(live) < (1 - kMostDead) * after) {
    return write_anew(path, model, groups, state);
  }
  log.begin_at(file.valid_bytes());
  append_state(log, earlier, groups, state);
}

}  // namespace fovea::kv
