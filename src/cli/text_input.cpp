#include "cli/text_input.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "fovea/error.h"
#include "fovea/options.h"

namespace fovea::cli {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

std::unique_ptr<std::FILE, CloseFile> open_text(const std::string& path) {
  if (path == "-") return std::unique_ptr<std::FILE, CloseFile>(stdin);
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) throw Error(std::string("cannot read: ") + std::strerror(errno), path, "check the path of the text file");
  return std::unique_ptr<std::FILE, CloseFile>(file);
}

// Length of the sequence that starts at `text[i]` by Unicode's table of well-formed sequences; 0: none does.
size_t sequence_length(std::string_view text, size_t i) {
  const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
  const auto continues = [&](size_t at, unsigned low = 0x80, unsigned high = 0xBF) { return byte(at) >= low && byte(at) <= high; };
  const unsigned lead = byte(i);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(i + 1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;   // shorter forms are not allowed
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;  // nor surrogates
    return continues(i + 1, low, high) && continues(i + 2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;  // nothing above U+10FFFF
    return continues(i + 1, low, high) && continues(i + 2) && continues(i + 3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::optional<size_t> first_invalid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text, i);
    if (length == 0) return i;
    i += length;
  }
  return std::nullopt;
}

void require_utf8(std::string_view text, const std::string& where) {
  const std::optional<size_t> bad = first_invalid_utf8(text);
  if (!bad) return;
  throw Error(
      fmt::format("the text is not UTF-8: byte {:#04x} at offset {}", static_cast<unsigned>(static_cast<unsigned char>(text[*bad])), *bad),
      where, "convert it first, for example with iconv -t UTF-8");
}

std::string read_text_file(const std::string& path) {
  const auto file = open_text(path);
  std::string text;
  char buffer[1 << 16];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, file.get())) text.append(buffer, count);
  if (interrupted()) throw Stopped();
  const std::string where = path == "-" ? "standard input" : path;
  if (std::ferror(file.get())) {
    throw Error(std::string("cannot read: ") + std::strerror(errno), where, "check that it is a text file");
  }
  require_utf8(text, where);
  return text;
}

std::optional<std::string> read_text_input(const std::optional<std::string>& text, const std::optional<std::string>& file) {
  if (text) {
    require_utf8(*text, "argument of -p");
    return text;
  }
  if (file) return read_text_file(*file);
  if (!is_terminal(Stream::in)) return read_text_file("-");
  return std::nullopt;
}

}  // namespace fovea::cli
