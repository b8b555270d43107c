#include "cli/memory_size.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace fovea::cli {

std::optional<int64_t> memory_size(const std::string& text) {
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || !(value >= 0)) return std::nullopt;
  std::string unit(static_cast<const char*>(end), text.data() + text.size());
  std::erase(unit, ' ');
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (unit == "b") unit.clear();
  if (!unit.empty()) {
    const size_t power = std::string("kmgt").find(unit[0]);
    const std::string rest = unit.substr(1);
    if (power == std::string::npos || (rest != "" && rest != "b" && rest != "ib")) return std::nullopt;
    for (size_t i = 0; i <= power; ++i) value *= rest == "b" ? 1000 : 1024;
  }
  constexpr double kMost = 1e18;
  if (value > kMost) return std::nullopt;
  return static_cast<int64_t>(value);
}

CLI::Validator is_memory_size() {
  CLI::Validator validator(
      [](const std::string& text) { return memory_size(text) ? std::string() : text + " is not a size such as 16GiB or 800MB"; }, "");
  validator.non_modifying();
  return validator;
}

}  // namespace fovea::cli
