// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace fovea::cli {

std::string bytes_text(double bytes);      // "253 MB", "1.50 GB", "640 B": powers of 1000, three digits
std::string count_text(int64_t count);     // "262,144"
std::string seconds_text(double seconds);  // "0:07", "12:34", "1:02:03"
std::string rate_text(double per_second);  // "812.3", "12,345": one decimal below 1000
std::string share_text(double share);      // "63 %"

}  // namespace fovea::cli
