// A file that appears under its name when it is complete, or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace fovea::files {

// Grows beside its final name ("NAME.partial-PID"); keep() gives it that name. Until then an older file of
// the name is untouched.
//   owner   the unfinished file is removed on destruction
//   errors  throws Error naming the path when something other than a plain file has the name, when the folder
//   has not
//           the bytes to give that are asked for, and when the system refuses
class NewFile {
 public:
  NewFile(std::string path, uint64_t bytes_to_come);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  const std::string& path() const { return path_; }  // as it will be
  void append(std::span<const std::byte> bytes);
  void keep();

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void require_room(uint64_t bytes) const;
  void close_and_remove();

  std::string path_, partial_;
  int descriptor_ = -1;
};

}  // namespace fovea::files
