#include "base/memory_info.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace fovea {
namespace {

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

int64_t available_in_meminfo() {
  std::ifstream meminfo("/proc/meminfo");
  std::string name, unit;
  int64_t kib = 0;
  while (meminfo >> name >> kib) {
    if (name == "MemAvailable:") return kib * 1024;
    std::getline(meminfo, unit);
  }
  return kUnknown;
}

// Control group, version 2. "max" means no limit, and reading a number fails.
int64_t left_in_control_group() {
  int64_t limit = 0, used = 0;
  std::ifstream limit_file("/sys/fs/cgroup/memory.max"), used_file("/sys/fs/cgroup/memory.current");
  if (!(limit_file >> limit) || !(used_file >> used)) return kUnknown;
  return std::max<int64_t>(0, limit - used);
}

}  // namespace

int64_t available_memory_bytes() { return std::min(available_in_meminfo(), left_in_control_group()); }

}  // namespace fovea
