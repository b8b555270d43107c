// How fast this machine reads memory.
#pragma once

#include <cstdint>

namespace fovea {

// Bytes per second of sequential reads by `threads` threads at once, each over a part of its own of a buffer
// much larger than the caches; the best of a few passes. Takes a few tenths of a second and 256 MB while it
// runs.
double probe_read_bytes_per_second(int threads);

}  // namespace fovea
