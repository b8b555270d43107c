#include "files/metadata.h"

#include <cmath>
#include <limits>

#include "files/untrusted_text.h"
#include "fovea/error.h"

namespace fovea::files {
namespace {

constexpr const char* kMend = "the file was written for another engine or is damaged: fetch or convert it again";

const char* kind_of(const Value& value) {
  static constexpr const char* kNames[] = {"an integer",         "a number",          "true or false",           "text",
                                           "a list of integers", "a list of numbers", "a list of true or false", "a list of texts"};
  return kNames[value.index()];
}

// The place of one fact, for messages.
struct Fact {
  const Metadata& file;
  std::string_view key;

  [[noreturn]] void refuse(const std::string& problem) const { throw Error(problem, file.source() + ", key " + in_quotes(key), kMend); }
  [[noreturn]] void refuse_kind(const Value& value, const char* expected) const {
    refuse(std::string("holds ") + kind_of(value) + ", expected " + expected);
  }
  [[noreturn]] void refuse_missing(const char* expected) const { refuse(std::string("is missing, expected ") + expected); }
};

int narrow_integer(int64_t value, const Fact& fact) {
  if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
    fact.refuse("holds " + std::to_string(value) + ", expected an integer of 32 bits");
  }
  return static_cast<int>(value);
}

// A value that is not finite would spread through everything computed from it, so it is refused here.
float narrow_number(double value, const Fact& fact) {
  const float narrow = static_cast<float>(value);
  if (!std::isfinite(narrow)) fact.refuse("holds " + std::to_string(value) + ", expected a finite 32-bit number");
  return narrow;
}

int as_integer(const Value& value, const Fact& fact) {
  const auto* integer = std::get_if<int64_t>(&value);
  if (!integer) fact.refuse_kind(value, "an integer");
  return narrow_integer(*integer, fact);
}

float as_number(const Value& value, const Fact& fact) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return static_cast<float>(*integer);
  const auto* number = std::get_if<double>(&value);
  if (!number) fact.refuse_kind(value, "a number");
  return narrow_number(*number, fact);
}

const std::string& as_text(const Value& value, const Fact& fact) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text) fact.refuse_kind(value, "text");
  return *text;
}

}  // namespace

const Value* Metadata::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

int Metadata::integer(std::string_view key) const {
  const auto value = maybe_integer(key);
  if (!value) Fact{*this, key}.refuse_missing("an integer");
  return *value;
}

int Metadata::integer(std::string_view key, int fallback) const { return maybe_integer(key).value_or(fallback); }

std::optional<int> Metadata::maybe_integer(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  return as_integer(*value, {*this, key});
}

float Metadata::number(std::string_view key) const {
  const auto value = maybe_number(key);
  if (!value) Fact{*this, key}.refuse_missing("a number");
  return *value;
}

float Metadata::number(std::string_view key, float fallback) const { return maybe_number(key).value_or(fallback); }

std::optional<float> Metadata::maybe_number(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  return as_number(*value, {*this, key});
}

bool Metadata::flag(std::string_view key, bool fallback) const {
  const Value* value = find(key);
  if (!value) return fallback;
  const auto* flag = std::get_if<bool>(value);
  if (!flag) Fact{*this, key}.refuse_kind(*value, "true or false");
  return *flag;
}

std::string Metadata::text(std::string_view key) const {
  const Value* value = find(key);
  if (!value) Fact{*this, key}.refuse_missing("text");
  return as_text(*value, {*this, key});
}

std::string Metadata::text(std::string_view key, std::string_view fallback) const {
  const Value* value = find(key);
  return value ? as_text(*value, {*this, key}) : std::string(fallback);
}

std::vector<int> Metadata::integers(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return {};
  const Fact fact{*this, key};
  const auto* list = std::get_if<std::vector<int64_t>>(value);
  if (!list) fact.refuse_kind(*value, "a list of integers");
  std::vector<int> narrow;
  narrow.reserve(list->size());
  for (const int64_t entry : *list) narrow.push_back(narrow_integer(entry, fact));
  return narrow;
}

std::vector<float> Metadata::numbers(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return {};
  const Fact fact{*this, key};
  std::vector<float> narrow;
  if (const auto* whole = std::get_if<std::vector<int64_t>>(value)) {
    narrow.assign(whole->begin(), whole->end());
    return narrow;
  }
  const auto* list = std::get_if<std::vector<double>>(value);
  if (!list) fact.refuse_kind(*value, "a list of numbers");
  narrow.reserve(list->size());
  for (const double entry : *list) narrow.push_back(narrow_number(entry, fact));
  return narrow;
}

std::vector<bool> Metadata::flags(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return {};
  const auto* list = std::get_if<std::vector<bool>>(value);
  if (!list) Fact{*this, key}.refuse_kind(*value, "a list of true or false");
  return *list;
}

const std::vector<std::string>& Metadata::texts(std::string_view key) const {
  static const std::vector<std::string> kNone;
  const Value* value = find(key);
  if (!value) return kNone;
  const auto* list = std::get_if<std::vector<std::string>>(value);
  if (!list) Fact{*this, key}.refuse_kind(*value, "a list of texts");
  return *list;
}

std::vector<int> Metadata::integer_per_layer(std::string_view key, int count) const {
  const Value* value = find(key);
  const Fact fact{*this, key};
  if (!value) fact.refuse_missing("an integer, or one per layer");
  if (std::holds_alternative<int64_t>(*value)) {
    return std::vector<int>(static_cast<size_t>(count), as_integer(*value, fact));
  }
  std::vector<int> list = integers(key);
  if (list.size() != static_cast<size_t>(count)) {
    fact.refuse("lists " + std::to_string(list.size()) + " integers, expected one for each of " + std::to_string(count) + " layers");
  }
  return list;
}

}  // namespace fovea::files
