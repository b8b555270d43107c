// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace fovea {

// owner    unmaps on destruction; spans taken from bytes() die with it
// threads  immutable after construction
// errors   throws Error when the file cannot be opened, is not a regular file, or is empty
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

  // Tells the kernel that `part` of bytes() will not be read again soon, so that its pages stop counting as
  // this process's memory. The bytes stay valid (a later read maps them anew).
  void forget(std::span<const std::byte> part) const;

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fovea
