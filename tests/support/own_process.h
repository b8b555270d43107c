// What this process holds, for tests that look for leaks.
#pragma once

#include <filesystem>
#include <iterator>

namespace fovea::testing_support {

inline int entries_of(const char* folder) {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}
inline int open_descriptors() { return entries_of("/proc/self/fd"); }  // and the one that counts them
inline int running_threads() { return entries_of("/proc/self/task"); }

// Sanitizers make work many times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace fovea::testing_support
