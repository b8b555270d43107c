// Where the packed matrices of a model lie: one after another.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/large_bytes.h"

namespace fovea::kernels {

// Hands out memory from large runs that the system backs with huge pages. A matrix of half a megabyte that had pages of
// its own would have small ones, and a token reads all matrices once: address translation would cost a tenth of the time.
//
// owner   everything it handed out, until it is destroyed
// errors  Error when the system refuses
class PanelMemory {
 public:
  // Zeros, beginning on a cache line; resident once written to.
  std::span<std::byte> take(size_t bytes);

 private:
  std::vector<LargeBytes> runs_;
  size_t used_ = 0;  // of the last run
};

}  // namespace fovea::kernels
