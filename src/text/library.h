// Handles of the Rust library (src/text/rust/fovea_text.h) as C++ values: freed by destructors, errors as
// exceptions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/rust/fovea_text.h"
#include "text/vocabulary.h"

namespace fovea::text {

// The tokenizers library, holding one vocabulary.
//
// threads  immutable after construction
// errors   construction throws Error naming `source`
class LibraryTokenizer {
 public:
  static LibraryTokenizer from_merges(const Vocabulary& vocabulary);  // byte-level; knows no special tokens
  static LibraryTokenizer from_json(std::string_view tokenizer_json, const std::string& source);

  // REQUIRES UTF-8
  void encode(std::string_view text, bool add_special, bool parse_special, std::vector<int32_t>& ids) const;

  const FoveaTokenizer* get() const { return handle_.get(); }

 private:
  struct Free {
    void operator()(FoveaTokenizer* handle) const { fovea_tokenizer_free(handle); }
  };
  LibraryTokenizer(FoveaTokenizer* handle, std::string source) : handle_(handle), source_(std::move(source)) {}

  std::unique_ptr<FoveaTokenizer, Free> handle_;
  std::string source_;
};

// The template library, holding one template. Otherwise as above.
class LibraryTemplate {
 public:
  LibraryTemplate(std::string_view template_source, const std::string& source);

  std::string render(std::string_view variables_json) const;

 private:
  struct Free {
    void operator()(FoveaTemplate* handle) const { fovea_template_free(handle); }
  };
  std::unique_ptr<FoveaTemplate, Free> handle_;
  std::string source_;
};

}  // namespace fovea::text
