#include "text/token_bytes.h"

#include <array>

#include "text/utf8.h"

namespace fovea::text {
namespace {

// GPT-2's alphabet keeps the bytes that print (in Latin-1) as they are and gives the others, in order, the
// characters from U+0100 on: 68 of them.
bool prints(int byte) { return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF); }

constexpr int kAlphabetEnd = 0x100 + 68;

std::array<int, kAlphabetEnd> make_alphabet() {  // code point -> byte, or -1
  std::array<int, kAlphabetEnd> bytes;
  bytes.fill(-1);
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) bytes[static_cast<size_t>(prints(byte) ? byte : next++)] = byte;
  return bytes;
}

// The byte that the character stands for; nullopt outside the alphabet, which ends within two bytes of UTF-8.
std::optional<char> byte_of(std::string_view character) {
  static const std::array<int, kAlphabetEnd> alphabet = make_alphabet();
  if (character.size() > 2) return std::nullopt;
  const uint8_t lead = static_cast<uint8_t>(character[0]);
  const size_t code_point = character.size() == 1 ? lead : (lead & 0x1Fu) << 6 | (static_cast<uint8_t>(character[1]) & 0x3Fu);
  if (code_point >= alphabet.size() || alphabet[code_point] < 0) return std::nullopt;
  return static_cast<char>(alphabet[code_point]);
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return std::nullopt;
}

}  // namespace

std::string without_visible_spaces(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    if (text.substr(at, kVisibleSpace.size()) == kVisibleSpace) {
      plain += ' ';
      at += kVisibleSpace.size();
    } else {
      plain += text[at++];
    }
  }
  return plain;
}

std::string byte_token_text(uint8_t byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + '>';
}

std::optional<uint8_t> byte_of_token_text(std::string_view text) {
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return std::nullopt;
  const auto high = hex_digit(text[3]), low = hex_digit(text[4]);
  if (!high || !low) return std::nullopt;
  return static_cast<uint8_t>(*high * 16 + *low);
}

std::string bytes_of_byte_level(std::string_view text) {
  std::string bytes;
  for (size_t at = 0; at < text.size();) {
    const std::string_view character = text.substr(at, first_utf8_unit(text.substr(at)).size);
    if (const auto byte = byte_of(character)) {
      bytes += *byte;
    } else {
      bytes += character;
    }
    at += character.size();
  }
  return bytes;
}

}  // namespace fovea::text
