// Token texts -> the bytes they stand for, in the two forms that vocabularies use.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fovea::text {

// sentencepiece  U+2581 stands for a space, "<0x41>" for a byte
// byte_level     every character stands for one byte, by the alphabet of GPT-2
enum class TokenForm : uint8_t { sentencepiece, byte_level };

inline constexpr std::string_view kVisibleSpace = "\xE2\x96\x81";  // U+2581

std::string without_visible_spaces(std::string_view text);

// "<0x0A>" <-> 10; nullopt for any other text.
std::string byte_token_text(uint8_t byte);
std::optional<uint8_t> byte_of_token_text(std::string_view text);

// The bytes that a byte-level token stands for. Characters outside the alphabet stand for themselves.
std::string bytes_of_byte_level(std::string_view text);

}  // namespace fovea::text
