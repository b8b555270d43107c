// What a model file says about itself: named values, the same for GGUF and for Hugging Face folders.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fovea::files {

// One metadata value. Integers of every width are int64 (an unsigned value beyond its range is refused at
// load), floats are double. Arrays are of one kind.
using Value = std::variant<int64_t, double, bool, std::string, std::vector<int64_t>, std::vector<double>, std::vector<bool>,
                           std::vector<std::string>>;

// Name -> value. GGUF keys are kept as written ("gemma3.block_count"). config.json is flattened with dots
// ("rope_scaling.factor", "text_config.hidden_size"); null means absent; arrays that hold anything but
// scalars of one kind are left out (mixed integers and floats become floats), and so are empty arrays, whose
// kind nobody knows.
//
//   errors   the getters throw Error naming the file, the key and the expected kind when a value has another
//   kind, is out of
//            is out of range for the asked type (a float must be finite), or (the forms without a default) is
//            missing
//   threads  immutable after loading
class Metadata {
 public:
  explicit Metadata(std::string source = "") : source_(std::move(source)) {}

  void set(std::string key, Value value) { values_.insert_or_assign(std::move(key), std::move(value)); }

  const std::string& source() const { return source_; }  // the file, for messages
  const std::map<std::string, Value, std::less<>>& values() const { return values_; }
  bool has(std::string_view key) const { return values_.find(key) != values_.end(); }
  const Value* find(std::string_view key) const;

  int integer(std::string_view key) const;  // required; fits int
  int integer(std::string_view key, int fallback) const;
  std::optional<int> maybe_integer(std::string_view key) const;
  float number(std::string_view key) const;  // integers are accepted as numbers
  float number(std::string_view key, float fallback) const;
  std::optional<float> maybe_number(std::string_view key) const;
  bool flag(std::string_view key, bool fallback) const;
  std::string text(std::string_view key) const;
  std::string text(std::string_view key, std::string_view fallback) const;

  // Arrays; empty when the key is absent. REQUIRES the right kind when present.
  std::vector<int> integers(std::string_view key) const;
  std::vector<float> numbers(std::string_view key) const;
  std::vector<bool> flags(std::string_view key) const;
  const std::vector<std::string>& texts(std::string_view key) const;

  // One integer per layer: the key may hold a number (the same for all) or an array of `count` numbers.
  std::vector<int> integer_per_layer(std::string_view key, int count) const;

 private:
  std::string source_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace fovea::files
