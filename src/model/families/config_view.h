// The keys of one model's facts within a file's metadata, with the checks that untrusted sizes need.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "files/metadata.h"

namespace fovea::model {

// No published model comes near these; within them no product of two sizes overflows 64 bits.
inline constexpr int kLargestSize = 1 << 24;  // rows, columns, tokens of a window
inline constexpr int kMostLayers = 10'000;

// Names below are written without the prefix under which the file keeps them: "<architecture>." in GGUF,
// "text_config." in a config.json that nests its language model, nothing in a plain one.
//
// owner   refers to the metadata, which must outlive it
// errors  every getter throws Error naming the file and the full key
class ConfigView {
 public:
  ConfigView(const files::Metadata& file, std::string prefix) : file_(&file), prefix_(std::move(prefix)) {}

  const files::Metadata& file() const { return *file_; }
  std::string key(std::string_view name) const { return prefix_ + std::string(name); }
  bool has(std::string_view name) const { return file_->has(key(name)); }
  bool has_below(std::string_view name) const;  // any "name.something"

  // Sizes and counts: 1 .. most. One without a fallback is required.
  int size(std::string_view name, int most = kLargestSize) const;
  int size_or(std::string_view name, int fallback, int most = kLargestSize) const;
  std::vector<int> size_per_layer(std::string_view name,
                                  int layers) const;  // a number, or a list of `layers`

  float positive_or(std::string_view name, float fallback) const;
  float positive(std::string_view name) const;
  float not_negative_or(std::string_view name, float fallback) const;
  bool flag(std::string_view name, bool fallback) const { return file_->flag(key(name), fallback); }
  std::string text_or(std::string_view name, std::string_view fallback) const { return file_->text(key(name), fallback); }

  // The text under a key that may also hold a number, which then gives "".
  std::string text_or_number(std::string_view name) const;

  // The fact under this key cannot be right.
  [[noreturn]] void refuse(std::string_view name, const std::string& problem) const;
  // The fact is right, but asks for something this engine lacks: "asks for bias vectors".
  [[noreturn]] void refuse_as_not_computed(std::string_view name, const std::string& problem) const;
  // The same, when a flag is set.
  void refuse_flag(std::string_view name, const std::string& problem) const;

 private:
  int checked_size(std::string_view name, int value, int most) const;

  const files::Metadata* file_;
  std::string prefix_;
};

ConfigView gguf_view(const files::Metadata& metadata);
ConfigView hugging_face_view(const files::Metadata& metadata);

}  // namespace fovea::model
