#include "base/aligned.h"

#include <cstring>

namespace fovea {

void* allocate_zeroed_lines(size_t bytes) {
  void* memory = std::aligned_alloc(kCacheLineBytes, bytes);
  if (!memory) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  return memory;
}

}  // namespace fovea
