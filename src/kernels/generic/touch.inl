// Bringing memory into cache ahead of the work on it. Included by <isa>/kernels.cpp inside its namespace.

// Reads one byte of every line, so that the lines are in cache when they are worked on. Worth its instructions when
// memory is the limit: the prefetchers follow a bare run of loads at full speed and lose track of one that is mixed with arithmetic
// (Zen 4, weights in memory, one row: 25 GB/s instead of 12 per core, against 34 for reading alone).
inline void touch(const void* begin, size_t bytes) {
  const auto* p = static_cast<const volatile uint8_t*>(begin);
  for (size_t i = 0; i < bytes; i += 64) (void)p[i];
}
