// Text that comes out of a file somebody else wrote.
#pragma once

#include <string>
#include <string_view>

namespace fovea::files {

// Well-formed UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

// For messages: in single quotes, at most about 80 bytes, with control characters and malformed bytes
// replaced by
// '?', so that a hostile name can neither flood nor steer a terminal.
std::string in_quotes(std::string_view text);

}  // namespace fovea::files
