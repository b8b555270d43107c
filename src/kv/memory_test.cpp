// What pools hold against the formula, over the shapes of models that people run: each group its window or its context,
// one page of rounding, and no more; and what that saves beside layers that all see everything.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "kv/cache.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

struct Shape {
  std::string name;
  int local_layers, window, local_heads, local_dim;
  int global_layers, global_heads, global_dim;
  int global_values_in_key = 0;  // values are part of what is stored as keys
};

// Layers that keep K/V of their own.
const std::vector<Shape> kShapes = {
    {"5 in 6 local, as Gemma 3 270M", 15, 512, 1, 256, 3, 1, 256},
    {"5 in 6 local, as Gemma 3 1B", 22, 512, 1, 256, 4, 1, 256},
    {"5 in 6 local, as Gemma 3 4B", 29, 1024, 4, 256, 5, 4, 256},
    {"5 in 6 local, as Gemma 3 12B", 40, 1024, 8, 256, 8, 8, 256},
    {"5 in 6 local, as Gemma 3 27B", 52, 1024, 16, 128, 10, 16, 128},
    {"15 of 35, as Gemma 4 E2B", 12, 512, 1, 256, 3, 1, 512},
    {"24 of 42, as Gemma 4 E4B", 20, 512, 2, 256, 4, 2, 512},
    {"K = V once, as Gemma 4 12B", 40, 1024, 8, 256, 8, 1, 640, 512},
    {"K = V once, as Gemma 4 26B-A4B", 25, 1024, 8, 256, 5, 2, 640, 512},
    {"K = V once, as Gemma 4 31B", 50, 1024, 16, 256, 10, 4, 640, 512},
    {"30 layers, 8 heads of 128", 25, 1024, 8, 128, 5, 8, 128},
};

std::vector<GroupSpec> groups_of(const Shape& shape) {
  std::vector<int> local, global;
  for (int layer = 0; layer < shape.local_layers + shape.global_layers; ++layer) {
    (layer < shape.local_layers ? local : global).push_back(layer);
  }
  return {{.window = shape.window, .layers = local, .layout = {KvCodec::f16, shape.local_heads, shape.local_dim}},
          {.layers = global, .layout = {KvCodec::f16, shape.global_heads, shape.global_dim, shape.global_values_in_key}}};
}

TEST(Memory, HeldBytesAreTheFormulaAndOnePageOfRoundingPerGroup) {
  constexpr int kChunk = 512;
  for (const Shape& shape : kShapes) {
    for (const int context : {1'024, 2'048, 4'096, 8'192, 16'384, 32'768, 65'536, 131'072}) {
      SCOPED_TRACE(shape.name + ", " + std::to_string(context));
      const std::vector<GroupSpec> groups = groups_of(shape);
      // What a window gives back is cleared when it is lent again: bench/memory_table has the large shapes at all contexts.
      if (context > 8'192 && page_bytes(groups[0]) > (1 << 19)) continue;
      Cache cache(groups, {.context_tokens = context, .chunk_tokens = kChunk});
      const SequenceId id = *cache.create();
      for (int length = 0; length < context; length += kChunk) {
        ASSERT_TRUE(cache.reserve(id, kChunk));
        cache.commit(id, kChunk);
      }
      int64_t exact = 0;
      for (size_t i = 0; i < groups.size(); ++i) {
        const GroupStats stats = cache.stats()[i];
        const int64_t held = stats.held_pages * stats.page_bytes, needed = exact_bytes(groups[i], context);
        EXPECT_LE(held, needed + stats.page_bytes);
        EXPECT_GE(held, needed - needed / std::max(1, groups[i].window));  // the window's own newest key comes with its query
        const int64_t chunk = kChunk * static_cast<int64_t>(groups[i].layers.size()) * groups[i].layout.bytes_per_token();
        EXPECT_LE(stats.peak_held_pages * stats.page_bytes, needed + chunk + stats.page_bytes);
        exact += needed;
      }
      if (context < 131'072) continue;
      const int64_t all_global = int64_t{context} * (shape.local_layers * groups[0].layout.bytes_per_token() +
                                                     shape.global_layers * groups[1].layout.bytes_per_token());
      std::printf("%-32s %7d tokens: %8.3f GiB, all-global %8.3f GiB\n", shape.name.c_str(), context,
                  static_cast<double>(exact) / (1 << 30), static_cast<double>(all_global) / (1 << 30));
    }
  }
}

}  // namespace
}  // namespace fovea::kv
