#include <fmt/format.h>

#include <array>

#include "fovea/plan.h"

namespace fovea {

std::string memory_text(int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  // Up to four digits of a unit before the next: 2,976 MiB says more than 2.91 GiB.
  while (value >= (unit == 2 ? 9999.5 : 1023.5) && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  const int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", value, decimals, kUnits[unit]);
}

}  // namespace fovea
