// What stands behind stdout and stderr.
#pragma once

#include <string>
#include <string_view>

namespace fovea::cli {

enum class Stream { in, out, error };

bool is_terminal(Stream stream);
int terminal_columns();  // of stderr; 80 when it does not say

// `text` in grey on a terminal; unchanged elsewhere or where NO_COLOR is set.
std::string dimmed(std::string_view text, Stream stream);

// Control characters except newline and tab replaced by U+FFFD. Names in files, and what a model writes, must
// not move the cursor or recolour the terminal of whoever looks at them.
std::string without_controls(std::string_view text);

}  // namespace fovea::cli
