// JSON from files somebody else wrote.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace fovea::files {

// source  the file's name, for messages
// errors  throws Error for more than limit_bytes, text that is not JSON in UTF-8, nesting deeper than 64,
// names that
//         stand twice in one object, and anything but an object at the top
nlohmann::json parse_json_object(std::string_view text, const std::string& source, size_t limit_bytes);

}  // namespace fovea::files
