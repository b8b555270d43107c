// What goes to the Rust library and what it hands over (src/text/rust/fovea_text.h).
#pragma once

#include <string>
#include <string_view>

#include "text/rust/fovea_text.h"

namespace fovea::text {

inline FoveaSpan span(std::string_view text) { return {text.data(), text.size()}; }

// Given back on every way out.
struct OwnedText {
  FoveaText text = {};
  OwnedText() = default;
  OwnedText(const OwnedText&) = delete;
  OwnedText& operator=(const OwnedText&) = delete;
  ~OwnedText() { fovea_text_free(text); }
  std::string copy() const { return text.size == 0 ? std::string() : std::string(text.data, text.size); }
};

}  // namespace fovea::text
