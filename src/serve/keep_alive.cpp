#include "serve/keep_alive.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "serve/api_error.h"

namespace fovea::serve {
namespace {

constexpr std::pair<std::string_view, double> kUnits[] = {  // none is the beginning of a later one
    {"ns", 1e-9}, {"us", 1e-6}, {"\u00b5s", 1e-6}, {"\u03bcs", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};

// Takes a number off the front; none: there is none.
std::optional<double> number(std::string_view& text) {
  if (text.empty() || text.front() == '-' || text.front() == '+') return std::nullopt;
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (read.ec != std::errc() || !std::isfinite(value)) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(read.ptr - text.data()));
  return value;
}

std::optional<double> unit(std::string_view& text) {
  for (const auto& [name, seconds] : kUnits) {
    if (!text.starts_with(name)) continue;
    text.remove_prefix(name.size());
    return seconds;
  }
  return std::nullopt;
}

}  // namespace

std::optional<double> duration_seconds(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  double seconds = 0;
  while (!text.empty()) {
    const std::optional<double> count = number(text);
    const std::optional<double> each = count ? unit(text) : std::nullopt;
    if (!each) return std::nullopt;
    seconds += *count * *each;
  }
  return negative ? -seconds : seconds;
}

std::optional<double> keep_alive_of(const nlohmann::json& body) {
  const auto found = body.find("keep_alive");
  if (found == body.end() || found->is_null()) return std::nullopt;
  if (found->is_number()) return found->get<double>();
  const std::optional<double> seconds = found->is_string() ? duration_seconds(found->get_ref<const std::string&>()) : std::nullopt;
  if (!seconds) throw bad_request("invalid keep_alive: give seconds, or a duration such as \"5m\"", "keep_alive");
  return seconds;
}

}  // namespace fovea::serve
