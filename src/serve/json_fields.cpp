#include "serve/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "serve/api_error.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kDepth = 64;

std::string kind_of(const json& value) {
  switch (value.type()) {
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return value.empty() ? "an empty array" : "an array";
    case json::value_t::string:
      return "a string";
    case json::value_t::boolean:
      return "a boolean";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      return "an integer";
    case json::value_t::number_float:
      return "a decimal";
    default:
      return "null";
  }
}

template <typename T> void check_range(Dialect dialect, const std::string& name, T value, T least, T most, const char* kind) {
  if (dialect == Dialect::anthropic && value < least) {
    throw bad_request(fmt::format("{}: Input should be greater than or equal to {}", name, least), name);
  }
  if (dialect == Dialect::anthropic && value > most) {
    throw bad_request(fmt::format("{}: Input should be less than or equal to {}", name, most), name);
  }
  if (value < least) {
    throw bad_request(
        fmt::format("Invalid '{}': {} below minimum value. Expected a value >= {}, but got {} instead.", name, kind, least, value), name,
        fmt::format("{}_below_min_value", kind));
  }
  if (value > most) {
    throw bad_request(
        fmt::format("Invalid '{}': {} above maximum value. Expected a value <= {}, but got {} instead.", name, kind, most, value), name,
        fmt::format("{}_above_max_value", kind));
  }
}

bool fits_int64(const json& number) {
  if (number.is_number_unsigned()) return number.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
  return !number.is_number_float() || (number.get<double>() >= -0x1p63 && number.get<double>() < 0x1p63);
}

}  // namespace

json parse_body(std::string_view body) {
  json parsed;
  try {
    parsed = json::parse(body, [](int depth, json::parse_event_t, const json&) {
      if (depth > kDepth) throw bad_request(fmt::format("The JSON body nests deeper than {} levels.", kDepth));
      return true;
    });
  } catch (const json::exception&) {  // what it says quotes the body
    throw bad_request("We could not parse the JSON body of your request. The API expects a JSON payload in UTF-8.");
  }
  if (!parsed.is_object()) throw bad_request("The body of the request has to be a JSON object.");
  return parsed;
}

ordered_json parse_text(std::string_view text) {
  bool is_deep = false;
  ordered_json parsed = ordered_json::parse(
      text,
      [&is_deep](int depth, ordered_json::parse_event_t, const ordered_json&) {
        is_deep = is_deep || depth > kDepth;
        return !is_deep;
      },
      false);
  return is_deep ? ordered_json(ordered_json::value_t::discarded) : parsed;
}

Fields::Fields(const json& object, std::string path, Dialect dialect) : object_(object), path_(std::move(path)), dialect_(dialect) {
  if (object.is_object()) return;
  if (!path_.empty() && path_.back() == '.') path_.pop_back();
  if (dialect == Dialect::anthropic) throw bad_request(path_ + ": Input should be an object", path_);
  throw bad_request(fmt::format("Invalid type for '{}': expected an object, but got {} instead.", path_, kind_of(object)), path_,
                    "invalid_type");
}

const json* Fields::find(const char* name) {
  seen_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const json& Fields::require(const char* name) {
  if (const json* value = find(name)) return *value;
  if (dialect_ == Dialect::anthropic) throw bad_request(full_name(name) + ": Field required", full_name(name));
  throw bad_request(fmt::format("Missing required parameter: '{}'.", full_name(name)), full_name(name), "missing_required_parameter");
}

void Fields::wrong_type(const char* name, const char* wanted) const {
  if (dialect_ == Dialect::anthropic) throw bad_request(fmt::format("{}: Input should be {}", full_name(name), wanted), full_name(name));
  throw bad_request(
      fmt::format("Invalid type for '{}': expected {}, but got {} instead.", full_name(name), wanted, kind_of(object_.at(name))),
      full_name(name), "invalid_type");
}

std::optional<double> Fields::number(const char* name, double least, double most) {
  const json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_number()) wrong_type(name, "a decimal");
  const auto number = value->get<double>();
  check_range(dialect_, full_name(name), number, least, most, "decimal");
  return number;
}

std::optional<int64_t> Fields::integer(const char* name, int64_t least, int64_t most) {
  const json* value = find(name);
  if (!value) return std::nullopt;
  const bool is_whole =
      value->is_number_integer() || (value->is_number_float() && std::trunc(value->get<double>()) == value->get<double>());
  if (!is_whole) wrong_type(name, "an integer");
  if (!fits_int64(*value)) {
    constexpr double kLargest = 0x1.fffffffffffffp62;  // that is below 2^63
    check_range(dialect_, full_name(name), value->get<double>(), static_cast<double>(least), std::min(static_cast<double>(most), kLargest),
                "integer");
  }
  const auto number = value->is_number_float() ? static_cast<int64_t>(value->get<double>()) : value->get<int64_t>();
  check_range(dialect_, full_name(name), number, least, most, "integer");
  return number;
}

std::optional<bool> Fields::boolean(const char* name) {
  const json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) wrong_type(name, "a boolean");
  return value->get<bool>();
}

std::optional<std::string> Fields::text(const char* name) {
  const json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) wrong_type(name, "a string");
  return value->get<std::string>();
}

void Fields::refuse_others() const {
  for (const auto& [name, value] : object_.items()) {
    if (!seen_.contains(name)) {
      const std::string shown = path_ + name.substr(0, 64);
      if (dialect_ == Dialect::anthropic) throw bad_request(shown + ": Extra inputs are not permitted", shown);
      throw bad_request(fmt::format("Unknown parameter: '{}'.", shown), shown, "unknown_parameter");
    }
  }
}

}  // namespace fovea::serve
