// How much memory this machine can still give.
#pragma once

#include <cstdint>

namespace fovea {

// Bytes that can be used without swapping others out: the least of what the kernel calls available and what a control
// group leaves. A very large number where the system does not say.
int64_t available_memory_bytes();

}  // namespace fovea
