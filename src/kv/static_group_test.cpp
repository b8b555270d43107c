// A static cache holds what was written, as one big array would, while windows go round in their memory.
#include "kv/static_group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "kv/cache.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

const kernels::KvLayout kLayout{KvCodec::f32, 1, 8};
const std::vector<GroupSpec> kGroups = {{.window = 20, .layers = {0, 2}, .layout = kLayout},
                                        {.window = 64, .layers = {3}, .layout = kLayout},
                                        {.layers = {1}, .layout = kLayout}};
constexpr CacheOptions kOptions = {.context_tokens = 300, .chunk_tokens = 33, .rollback_tokens = 5, .contiguous = true};

std::byte* slot_of(const Cache& cache, SequenceId id, int layer, int position) {
  return cache.view(id, layer).slice(position / kPageTokens) + position % kPageTokens * 8;
}

int window_of(int layer) {
  for (const GroupSpec& group : kGroups) {
    if (std::ranges::find(group.layers, layer) != group.layers.end()) return group.window;
  }
  return 0;
}

TEST(StaticCache, BehavesLikeOneBigArrayUnderRandomGrowthAndRollback) {
  Cache cache(kGroups, kOptions);
  std::mt19937_64 random(1);
  for (int round = 0; round < 50; ++round) {
    const SequenceId id = *cache.create();
    EXPECT_FALSE(cache.create());
    std::vector<std::vector<uint64_t>> tags(4);
    int length = 0, furthest = 0;
    while (length < kOptions.context_tokens) {
      const int tokens = 1 + static_cast<int>(random() % static_cast<unsigned>(std::min(33, kOptions.context_tokens - length)));
      ASSERT_TRUE(cache.reserve(id, tokens));
      for (int layer = 0; layer < 4; ++layer) {
        for (int position = length; position < length + tokens; ++position) {
          tags[static_cast<size_t>(layer)].push_back(random());
          std::memcpy(slot_of(cache, id, layer, position), &tags[static_cast<size_t>(layer)].back(), 8);
        }
      }
      cache.commit(id, tokens);
      length += tokens;
      furthest = std::max(furthest, length);
      const int back = static_cast<int>(random() % 8);
      if (back <= length) {
        const bool possible = length - back >= furthest - kOptions.rollback_tokens;
        ASSERT_EQ(cache.roll_back(id, length - back), possible);
        if (possible) length -= back;
        for (auto& tag : tags) tag.resize(static_cast<size_t>(length));
      }
      cache.check();
      for (int layer = 0; layer < 4; ++layer) {
        const int window = window_of(layer);
        for (int position = window == kWholePast ? 0 : std::max(0, length - window + 1); position < length; ++position) {
          ASSERT_EQ(std::memcmp(slot_of(cache, id, layer, position), &tags[static_cast<size_t>(layer)][static_cast<size_t>(position)], 8),
                    0)
              << "layer " << layer << ", position " << position;
        }
      }
    }
    cache.release(id);
  }
}

TEST(StaticCache, TakesWhatTheFormulaSaysFromTheStartAndNothingElse) {
  Cache cache(kGroups, kOptions);
  int64_t bytes = 0;
  for (const GroupSpec& group : kGroups) bytes += page_bytes(group) * pages_needed(group, kOptions);
  EXPECT_EQ(cache.used_bytes(), bytes);
  EXPECT_EQ(cache.limit_bytes(), bytes);
  EXPECT_EQ(cache.resident_bytes(), bytes);
}

}  // namespace
}  // namespace fovea::kv
