#include "text/tokenizer_config.h"

#include <nlohmann/json.hpp>

#include "fovea/error.h"

namespace fovea::text {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& what, const std::string& source) {
  throw Error(what, source, "download the file again, or remove it");
}

const Json* present(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const Json& value, const char* key, const std::string& source) {
  if (!value.is_string()) refuse(std::string(key) + " is not text", source);
  return value.get<std::string>();
}

// A token is written as its text, or as an object whose "content" is the text.
std::optional<std::string> token(const Json& config, const char* key, const std::string& source) {
  const Json* value = present(config, key);
  if (value && value->is_object()) value = present(*value, "content");
  if (!value) return std::nullopt;
  return text_of(*value, key, source);
}

std::optional<bool> flag(const Json& config, const char* key, const std::string& source) {
  const Json* value = present(config, key);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) refuse(std::string(key) + " is neither true nor false", source);
  return value->get<bool>();
}

// One text, or a list of {"name", "template"}.
std::optional<std::string> chat_template(const Json& config, const std::string& source) {
  const Json* value = present(config, "chat_template");
  if (!value) return std::nullopt;
  if (!value->is_array()) return text_of(*value, "chat_template", source);
  for (const Json& entry : *value) {
    if (!entry.is_object() || entry.value("name", Json()) != "default") continue;
    if (const Json* text = present(entry, "template")) return text_of(*text, "chat_template", source);
  }
  return std::nullopt;
}

}  // namespace

TokenizerConfig parse_tokenizer_config(std::string_view json, const std::string& source) {
  if (json.empty()) return {};
  const Json config = Json::parse(json, nullptr, false);
  if (!config.is_object()) refuse("it is not a JSON object", source);
  return {token(config, "bos_token", source), token(config, "eos_token", source), flag(config, "add_bos_token", source),
          flag(config, "add_eos_token", source), chat_template(config, source)};
}

}  // namespace fovea::text
