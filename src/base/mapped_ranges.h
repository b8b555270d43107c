// Which files are mapped where: what a signal handler can tell of an address.
#pragma once

#include <cstddef>
#include <string>

namespace fovea {

// threads  any; what is noted can be looked up in a signal handler. Beyond kMostMappedRanges files nothing is noted, and nothing is
//          told of those
inline constexpr int kMostMappedRanges = 256;
void note_mapped(const std::byte* begin, size_t size, const std::string& path);
void forget_mapped(const std::byte* begin);

}  // namespace fovea
