// Zeroed memory from the operating system that costs nothing until it is written.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fovea::kv {

// owner    unmaps on destruction
// threads  immutable after construction; the bytes are whoever's they are lent to
// errors   throws Error when the operating system will not promise that much
class PageMemory {
 public:
  PageMemory(int64_t bytes_per_page, int64_t pages);
  ~PageMemory();
  PageMemory(const PageMemory&) = delete;
  PageMemory& operator=(const PageMemory&) = delete;

  std::byte* data() const { return data_; }  // on a boundary of the operating system's pages
  size_t size() const { return size_; }

  // Gives the memory behind these bytes back to the operating system, as far as they fill whole pages of it; their
  // contents are lost.
  void return_memory(int64_t offset, int64_t bytes) const;

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fovea::kv
