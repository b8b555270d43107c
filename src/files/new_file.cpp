#include "files/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "fovea/error.h"

namespace fovea::files {
namespace {

constexpr const char* kMend = "check free space and permissions of the folder";

// Renaming over a device or a pipe would replace it by a plain file.
void refuse_special_file(const std::string& path) {
  struct stat facts{};
  if (stat(path.c_str(), &facts) == 0 && !S_ISREG(facts.st_mode)) {
    throw Error("is there and not a plain file", path, "name a file");
  }
}

std::string gigabytes(uint64_t bytes) { return fmt::format("{:.3f} GB", static_cast<double>(bytes) / 1e9); }

}  // namespace

NewFile::NewFile(std::string path, uint64_t bytes_to_come)
    : path_(std::move(path)), partial_(path_ + ".partial-" + std::to_string(getpid())) {
  refuse_special_file(path_);
  descriptor_ = open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor_ < 0) fail("cannot be created");
  try {
    require_room(bytes_to_come);
  } catch (...) {
    close_and_remove();
    throw;
  }
}

NewFile::~NewFile() {
  if (descriptor_ >= 0) close_and_remove();
}

void NewFile::close_and_remove() {
  close(descriptor_);
  descriptor_ = -1;
  unlink(partial_.c_str());
}

void NewFile::fail(const std::string& what) const { throw Error(what + ": " + std::strerror(errno), path_, kMend); }

// A file of the name is not counted as free: it stays until the new one is whole.
void NewFile::require_room(uint64_t bytes) const {
  struct statvfs disk{};
  if (fstatvfs(descriptor_, &disk) != 0) fail("cannot tell the free space");
  const uint64_t free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (bytes <= free_bytes) return;
  throw Error("needs " + gigabytes(bytes) + ", its disk has " + gigabytes(free_bytes) + " free", path_,
              "free " + gigabytes(bytes - free_bytes) + ", or name a file on another disk");
}

void NewFile::append(std::span<const std::byte> bytes) {
  assert(descriptor_ >= 0);
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot be written");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void NewFile::keep() {
  assert(descriptor_ >= 0);
  if (fsync(descriptor_) != 0) fail("cannot be written");  // some file systems refuse bytes only now
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) fail("cannot be given its name");
  close(descriptor_);
  descriptor_ = -1;
}

}  // namespace fovea::files
