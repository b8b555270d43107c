// Reading requests: JSON from anybody, and its fields with an API's own words for what is wrong with them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "serve/api_error.h"

namespace fovea::serve {

// errors: ApiError for what is not JSON in UTF-8, nests deeper than 64 levels, or is no object
nlohmann::json parse_body(std::string_view body);

// Text inside a request or an answer that may be JSON; discarded when it is none, or nests deeper than 64 levels.
nlohmann::ordered_json parse_text(std::string_view text);

// An object of a request. null counts as absent. `path` is put before names in errors ("messages[0].").
// errors: ApiError naming the field
class Fields {
 public:
  explicit Fields(const nlohmann::json& object, std::string path = "", Dialect dialect = Dialect::openai);

  const nlohmann::json* find(const char* name);  // nullptr: absent
  const nlohmann::json& require(const char* name);
  std::optional<double> number(const char* name, double least, double most);
  std::optional<int64_t> integer(const char* name, int64_t least, int64_t most);
  std::optional<bool> boolean(const char* name);
  std::optional<std::string> text(const char* name);

  void ignore(const char* name) { seen_.insert(name); }
  void refuse_others() const;  // fields that nobody asked for

  // wanted: "a string"
  [[noreturn]] void wrong_type(const char* name, const char* wanted) const;
  std::string full_name(const char* name) const { return path_ + name; }

 private:
  const nlohmann::json& object_;
  std::string path_;
  Dialect dialect_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace fovea::serve
