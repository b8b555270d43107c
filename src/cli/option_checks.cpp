#include "cli/option_checks.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "fovea/error.h"
#include "fovea/options.h"

namespace fovea::cli {
namespace {

template <typename T> std::optional<T> parsed(const std::string& text) {
  T value{};
  const char* begin = text.data() + (text.size() > 1 && text[0] == '+' ? 1 : 0);
  const auto [end, failure] = std::from_chars(begin, text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <typename T> CLI::Validator in_range(const std::string& range, T low, T high, bool low_included) {
  const auto check = [=](const std::string& text) {
    const std::optional<T> value = parsed<T>(text);
    if (value && (low_included ? *value >= low : *value > low) && *value <= high) return std::string();
    return fmt::format("{} is not {}", text.empty() ? "''" : text, range);
  };
  CLI::Validator validator(check, "");
  validator.non_modifying();
  return validator;
}

}  // namespace

CLI::Validator whole_number(long long low, long long high) {
  return in_range<long long>(fmt::format("a whole number from {} to {}", low, high), low, high, true);
}

CLI::Validator number(double low, double high) {
  return in_range<double>(fmt::format("a number from {} to {}", low, high), low, high, true);
}

CLI::Validator number_above(double low, double high) {
  return in_range<double>(fmt::format("a number above {} and at most {}", low, high), low, high, false);
}

CLI::Validator kv_codecs() {
  const auto check = [](const std::string& text) -> std::string {
    try {
      kv_codecs_from_name(text);
      return "";
    } catch (const Error& error) {
      return error.mend().empty() ? error.problem() : error.problem() + " (" + error.mend() + ")";
    }
  };
  CLI::Validator validator(check, "");
  validator.non_modifying();
  return validator;
}

}  // namespace fovea::cli
