#include "text/utf8.h"

#include <cstdint>
#include <cstring>

namespace fovea::text {
namespace {

// What may follow a lead byte: the sequence's size and the range of its second byte. Size 0: no lead byte.
struct Lead {
  size_t size;
  uint8_t second_first, second_last;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte < 0xF0) {
    return {3, static_cast<uint8_t>(byte == 0xE0 ? 0xA0 : 0x80), static_cast<uint8_t>(byte == 0xED ? 0x9F : 0xBF)};
  }
  if (byte < 0xF5) {
    return {4, static_cast<uint8_t>(byte == 0xF0 ? 0x90 : 0x80), static_cast<uint8_t>(byte == 0xF4 ? 0x8F : 0xBF)};
  }
  return {0, 0, 0};
}

// Bytes at the beginning that are ASCII, in steps of eight.
size_t ascii_run(std::string_view bytes) {
  size_t run = 0;
  for (uint64_t block; run + sizeof block <= bytes.size(); run += sizeof block) {
    std::memcpy(&block, bytes.data() + run, sizeof block);
    if (block & 0x8080808080808080u) break;
  }
  return run;
}

}  // namespace

Utf8Unit first_utf8_unit(std::string_view bytes) {
  const Lead lead = lead_of(static_cast<uint8_t>(bytes[0]));
  if (lead.size == 0) return {Utf8Unit::Kind::invalid, 1};
  for (size_t i = 1; i < lead.size; ++i) {
    if (i == bytes.size()) return {Utf8Unit::Kind::incomplete, i};
    const uint8_t byte = static_cast<uint8_t>(bytes[i]);
    const uint8_t first = i == 1 ? lead.second_first : 0x80;
    const uint8_t last = i == 1 ? lead.second_last : 0xBF;
    if (byte < first || byte > last) return {Utf8Unit::Kind::invalid, i};
  }
  return {Utf8Unit::Kind::code_point, lead.size};
}

std::optional<size_t> first_invalid_utf8(std::string_view bytes) {
  for (size_t at = ascii_run(bytes); at < bytes.size();) {
    const Utf8Unit unit = first_utf8_unit(bytes.substr(at));
    if (unit.kind != Utf8Unit::Kind::code_point) return at;
    at += unit.size;
    at += ascii_run(bytes.substr(at));
  }
  return std::nullopt;
}

size_t append_repaired_utf8(std::string_view bytes, std::string& text) {
  size_t at = 0;
  while (at < bytes.size()) {
    const Utf8Unit unit = first_utf8_unit(bytes.substr(at));
    if (unit.kind == Utf8Unit::Kind::incomplete) break;
    text += unit.kind == Utf8Unit::Kind::code_point ? bytes.substr(at, unit.size) : kReplacementCharacter;
    at += unit.size;
  }
  return at;
}

}  // namespace fovea::text
