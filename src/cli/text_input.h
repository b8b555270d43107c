// Text from an argument, a file or a pipe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fovea::cli {

// `text` if given, else the file ("-" is stdin), else stdin when it is not a terminal; none when there is
// nothing. errors: Error when the file cannot be read, or the text is not UTF-8 (with the byte offset)
std::optional<std::string> read_text_input(const std::optional<std::string>& text, const std::optional<std::string>& file);

std::string read_text_file(const std::string& path);  // "-" is stdin

// Offset of the first byte that is not part of valid UTF-8; none when all is well.
std::optional<size_t> first_invalid_utf8(std::string_view text);
void require_utf8(std::string_view text, const std::string& where);

}  // namespace fovea::cli
