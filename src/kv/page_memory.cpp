#include "kv/page_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

#include "fovea/error.h"

namespace fovea::kv {
namespace {

[[noreturn]] void refuse(int64_t bytes_per_page, int64_t pages, const std::string& reason) {
  throw Error(
      "cannot set aside " + std::to_string(pages) + " pages of " + std::to_string(bytes_per_page) + " bytes for keys and values: " + reason,
      "K/V cache", "ask for a shorter context or fewer sequences");
}

}  // namespace

PageMemory::PageMemory(int64_t bytes_per_page, int64_t pages) {
  if (pages > std::numeric_limits<ptrdiff_t>::max() / bytes_per_page) {
    refuse(bytes_per_page, pages, "more than there are addresses");
  }
  size_ = static_cast<size_t>(bytes_per_page) * static_cast<size_t>(pages);
  void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) refuse(bytes_per_page, pages, std::strerror(errno));
  // Fewer address translations while attention walks the pages. Only advice: a kernel without huge pages says
  // no.
  (void)madvise(memory, size_, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(memory);
}

void PageMemory::return_memory(int64_t offset, int64_t bytes) const {
  static const int64_t granule = sysconf(_SC_PAGESIZE);
  const int64_t begin = (offset + granule - 1) / granule * granule;
  const int64_t end = (offset + bytes) / granule * granule;
  if (begin < end) (void)madvise(data_ + begin, static_cast<size_t>(end - begin), MADV_DONTNEED);
}

PageMemory::~PageMemory() { munmap(data_, size_); }

}  // namespace fovea::kv
