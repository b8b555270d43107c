#include "files/untrusted_text.h"

#include <cstdint>
#include <cstring>

namespace fovea::files {
namespace {

constexpr size_t kQuotedBytes = 80;

bool is_continuation(unsigned char byte) { return (byte & 0xC0u) == 0x80u; }

// Bytes of the well-formed code point that starts at text[0]; 0 when there is none.
size_t code_point_bytes(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const size_t bytes = lead >= 0xC2 && lead <= 0xDF ? 2 : (lead & 0xF0u) == 0xE0 ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
  if (bytes == 0 || text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if (!is_continuation(at(i))) return 0;
  }
  const unsigned char second = at(1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate = lead == 0xED && second > 0x9F;
  const bool beyond_unicode = lead == 0xF4 && second > 0x8F;
  return overlong || surrogate || beyond_unicode ? 0 : bytes;
}

size_t skip_ascii(std::string_view text, size_t i) {
  for (uint64_t eight; i + sizeof eight <= text.size(); i += sizeof eight) {
    std::memcpy(&eight, text.data() + i, sizeof eight);
    if (eight & 0x8080808080808080u) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (size_t i = skip_ascii(text, 0); i < text.size(); i = skip_ascii(text, i)) {
    const size_t bytes = code_point_bytes(text.substr(i));
    if (bytes == 0) return false;
    i += bytes;
  }
  return true;
}

std::string in_quotes(std::string_view text) {
  std::string shown = "'";
  size_t i = 0;
  while (i < text.size() && shown.size() < kQuotedBytes) {
    const size_t bytes = code_point_bytes(text.substr(i));
    const auto lead = static_cast<unsigned char>(text[i]);
    // C0 controls, DEL, and the C1 controls U+0080..U+009F, which terminals obey too
    const bool control = lead < 0x20 || lead == 0x7F || (bytes == 2 && lead == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0);
    if (bytes == 0 || control) {
      shown += '?';
    } else {
      shown += text.substr(i, bytes);
    }
    i += bytes == 0 ? 1 : bytes;
  }
  return shown + (i < text.size() ? "...'" : "'");
}

}  // namespace fovea::files
