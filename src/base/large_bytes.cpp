#include "base/large_bytes.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <utility>

#include "fovea/error.h"

namespace fovea {

LargeBytes::LargeBytes(size_t size) : size_(size) {
  if (size == 0) return;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(fmt::format("no memory for {:.1f} MiB", static_cast<double>(size) / (1 << 20)), "",
                "close other programs or ask for a smaller context");
  }
  constexpr size_t kHugePageBytes = 2 << 20;
  if (size >= 4 * kHugePageBytes) madvise(memory, size, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(memory);
}

LargeBytes::~LargeBytes() {
  if (data_) munmap(data_, size_);
}

LargeBytes::LargeBytes(LargeBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

LargeBytes& LargeBytes::operator=(LargeBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace fovea
