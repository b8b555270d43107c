#include "kernels/panel_memory.h"

#include <algorithm>

namespace fovea::kernels {

std::span<std::byte> PanelMemory::take(size_t bytes) {
  constexpr size_t kRunBytes = 64 << 20, kLine = 64;
  if (runs_.empty() || runs_.back().size() - used_ < bytes) {
    runs_.emplace_back(std::max(bytes, kRunBytes));
    used_ = 0;
  }
  std::byte* at = runs_.back().data() + used_;
  used_ = std::min(runs_.back().size(), (used_ + bytes + kLine - 1) / kLine * kLine);
  return {at, bytes};
}

}  // namespace fovea::kernels
