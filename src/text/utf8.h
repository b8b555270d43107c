// UTF-8 as the Unicode standard defines it (table 3-7: no overlong forms, no surrogates, nothing past
// U+10FFFF).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace fovea::text {

struct Utf8Unit {
  enum class Kind { code_point, invalid, incomplete };
  Kind kind;
  size_t size;  // code_point: its bytes; invalid: the bytes one U+FFFD replaces; incomplete: all that is left
};

// What stands at the beginning of `bytes`. REQUIRES: not empty.
// `incomplete` means that `bytes` ends inside what may yet become a code point.
Utf8Unit first_utf8_unit(std::string_view bytes);

// The offset of the first byte that is not part of a code point; nullopt when all of `bytes` is UTF-8.
std::optional<size_t> first_invalid_utf8(std::string_view bytes);

// Appends `bytes` to `text`, with U+FFFD for every invalid unit, up to an incomplete code point at the end.
// Returns the number of bytes that were used: all but at most three.
size_t append_repaired_utf8(std::string_view bytes, std::string& text);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

}  // namespace fovea::text
