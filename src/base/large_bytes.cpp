#include "base/large_bytes.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "fovea/error.h"

namespace fovea {
LargeBytes::LargeBytes(size_t size) : size_(size) {
  if (size == 0) return;
  constexpr size_t kHugePageBytes = 2 << 20;
  const bool huge = size >= 4 * kHugePageBytes;
  mapped_bytes_ = huge ? size + kHugePageBytes : size;  // so that it can begin on a huge page
  mapping_ = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) {
    throw Error(fmt::format("no memory for {:.1f} MiB", static_cast<double>(size) / (1 << 20)), "",
                "close other programs or ask for a smaller context");
  }
  data_ = static_cast<std::byte*>(mapping_);
  if (!huge) return;
  data_ += (kHugePageBytes - reinterpret_cast<uintptr_t>(mapping_) % kHugePageBytes) % kHugePageBytes;
  madvise(data_, size, MADV_HUGEPAGE);
}

LargeBytes::~LargeBytes() {
  if (data_) munmap(mapping_, mapped_bytes_);
}

void LargeBytes::forget(std::span<const std::byte> part) const {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(part.data() + part.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

LargeBytes::LargeBytes(LargeBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)) {}

LargeBytes& LargeBytes::operator=(LargeBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  return *this;
}

}  // namespace fovea
