// Counts allocations of the whole test program, to see that a step in steady state makes none.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#include "kv/cache.h"

namespace {
int64_t allocations = 0;
}

// Not inlined: otherwise the compiler sees new paired with free and warns.
[[gnu::noinline]] void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(bytes);
}
[[gnu::noinline]] void* operator new(size_t bytes) {
  if (void* memory = operator new(bytes, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace fovea::kv {
namespace {

TEST(Cache, StepsDoNotAllocate) {
  const kernels::KvLayout small{KvCodec::f16, 1, 2};
  Cache cache({{.window = 512, .layers = {0}, .layout = small}, {.layers = {1}, .layout = small}},
              {.context_tokens = 20'000, .chunk_tokens = 64, .sequences = 2});
  const int64_t before = allocations;
  for (int round = 0; round < 2; ++round) {
    const SequenceId sequence = *cache.create();
    for (int chunk = 1; cache.length(sequence) + chunk <= 20'000; chunk = chunk % 64 + 1) {
      if (!cache.reserve(sequence, chunk)) break;
      if (cache.view(sequence, 0).page_count == 0) break;
      cache.commit(sequence, chunk);
    }
    EXPECT_GT(cache.length(sequence), 19'900);
    cache.release(sequence);
  }
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace fovea::kv
