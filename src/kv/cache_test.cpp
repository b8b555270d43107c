#include "kv/cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kv/formula.h"

namespace fovea::kv {
namespace {

const kernels::KvLayout kSmall{KvCodec::f16, 1, 4};

std::vector<GroupSpec> local_and_global() {
  return {{.window = 20, .layers = {0, 1, 3}, .layout = kSmall}, {.layers = {2, 5}, .layout = {KvCodec::f32, 2, 3}}};
}

std::vector<int> held(const Cache& cache) {
  std::vector<int> pages;
  for (const GroupStats& group : cache.stats()) pages.push_back(group.held_pages);
  return pages;
}

TEST(Cache, SequencesRunOutAndComeBack) {
  Cache cache(local_and_global(), {.context_tokens = 32, .chunk_tokens = 8, .sequences = 2});
  const SequenceId a = *cache.create();
  const SequenceId b = *cache.create();
  EXPECT_NE(a, b);
  EXPECT_FALSE(cache.create().has_value());
  cache.release(a);
  EXPECT_EQ(cache.create(), a);
  EXPECT_EQ(cache.length(a), 0);
}

TEST(Cache, ReserveTakesPagesInEveryGroupOrInNone) {
  // 48 positions are 3 pages of the global group: two sequences of 17 positions need 4.
  Cache cache(local_and_global(), {.context_tokens = 40, .chunk_tokens = 40, .sequences = 2, .total_tokens = 48});
  const SequenceId a = *cache.create();
  const SequenceId b = *cache.create();
  ASSERT_TRUE(cache.reserve(a, 17));
  cache.commit(a, 17);
  ASSERT_EQ(held(cache), (std::vector{2, 2}));
  EXPECT_FALSE(cache.reserve(b, 17));
  EXPECT_EQ(held(cache), (std::vector{2, 2}));
  EXPECT_EQ(cache.view(b, 0).page_count, 0);
  EXPECT_EQ(cache.view(b, 2).page_count, 0);
  cache.check();
  EXPECT_TRUE(cache.reserve(b, 16));
  cache.check();
  cache.release(a);
  EXPECT_TRUE(cache.reserve(b, 40));
  cache.check();
}

TEST(Cache, AGroupThatIsFullStopsTheOthersFromTaking) {
  // Both groups have 4 pages. After 50 positions the local one has given 1 back, so only the global one is
  // full.
  Cache cache(local_and_global(), {.context_tokens = 64, .chunk_tokens = 64, .sequences = 2, .total_tokens = 64});
  const SequenceId a = *cache.create();
  const SequenceId b = *cache.create();
  ASSERT_TRUE(cache.reserve(a, 50));
  cache.commit(a, 50);
  ASSERT_EQ(held(cache), (std::vector{3, 4}));
  EXPECT_FALSE(cache.reserve(b, 1));
  EXPECT_EQ(held(cache), (std::vector{3, 4}));
  cache.check();
}

TEST(Cache, ReleasedPagesReturn) {
  Cache cache(local_and_global(), {.context_tokens = 100, .chunk_tokens = 50, .sequences = 3});
  for (int round = 0; round < 50; ++round) {
    const SequenceId sequence = *cache.create();
    ASSERT_TRUE(cache.reserve(sequence, 50));
    cache.commit(sequence, round);
    ASSERT_TRUE(cache.reserve(sequence, 50));
    cache.release(sequence);
    EXPECT_EQ(held(cache), (std::vector{0, 0}));
    cache.check();
  }
}

TEST(Cache, EverySequenceFillsTheContextAtOnceWithoutALimit) {
  const CacheOptions options{.context_tokens = 101, .chunk_tokens = 7, .sequences = 3};
  Cache cache(local_and_global(), options);
  for (int i = 0; i < 3; ++i) {
    const SequenceId sequence = *cache.create();
    for (int length = 0; length < 101; length += 7) {
      const int chunk = std::min(7, 101 - length);
      ASSERT_TRUE(cache.reserve(sequence, chunk));
      cache.commit(sequence, chunk);
    }
    EXPECT_EQ(cache.length(sequence), 101);
  }
  const GroupStats global = cache.stats()[1];
  EXPECT_EQ(global.held_pages, global.capacity_pages);
}

TEST(Cache, AskingAgainForTheSameRoomTakesNothingMore) {
  Cache cache(local_and_global(), {.context_tokens = 100, .chunk_tokens = 50});
  const SequenceId sequence = *cache.create();
  ASSERT_TRUE(cache.reserve(sequence, 50));
  const std::vector<int> before = held(cache);
  ASSERT_TRUE(cache.reserve(sequence, 50));
  ASSERT_TRUE(cache.reserve(sequence, 3));
  EXPECT_EQ(held(cache), before);
  cache.commit(sequence, 50);
  cache.check();
}

TEST(Cache, LayersOfAPageDoNotOverlap) {
  Cache cache(local_and_global(), {.context_tokens = 32, .chunk_tokens = 32});
  const SequenceId sequence = *cache.create();
  ASSERT_TRUE(cache.reserve(sequence, 32));
  EXPECT_EQ(cache.view(sequence, 0).layer_offset, 0u);
  EXPECT_GE(cache.view(sequence, 1).layer_offset, kSmall.slice_bytes());
  EXPECT_GE(cache.view(sequence, 3).layer_offset, cache.view(sequence, 1).layer_offset + kSmall.slice_bytes());
  EXPECT_EQ(cache.view(sequence, 2).layer_offset, 0u);
  EXPECT_EQ(cache.layout(5).codec, KvCodec::f32);
  EXPECT_EQ(cache.layout(3).codec, KvCodec::f16);
}

TEST(Cache, AViewStaysWhileOtherSequencesChange) {
  Cache cache(local_and_global(), {.context_tokens = 200, .chunk_tokens = 40, .sequences = 2});
  const SequenceId kept = *cache.create();
  ASSERT_TRUE(cache.reserve(kept, 40));
  const kernels::KvPages view = cache.view(kept, 1);
  const std::vector<std::byte*> addresses(view.pages, view.pages + view.page_count);
  for (int round = 0; round < 5; ++round) {
    const SequenceId other = *cache.create();
    for (int chunk = 0; chunk < 5; ++chunk) {
      ASSERT_TRUE(cache.reserve(other, 40));
      cache.commit(other, 40);
    }
    cache.release(other);
  }
  EXPECT_EQ(cache.view(kept, 1).pages, view.pages);
  EXPECT_EQ(std::vector<std::byte*>(view.pages, view.pages + view.page_count), addresses);
}

TEST(Cache, APageStaysWhereItIsForAsLongAsItIsHeld) {
  Cache cache(local_and_global(), {.context_tokens = 2'000, .chunk_tokens = 5});
  const SequenceId sequence = *cache.create();
  std::vector<std::byte*> seen;  // by absolute page
  for (int length = 0; length < 2'000; length += 5) {
    ASSERT_TRUE(cache.reserve(sequence, 5));
    const kernels::KvPages view = cache.view(sequence, 0);
    for (int page = view.first_page; page < view.first_page + view.page_count; ++page) {
      if (static_cast<size_t>(page) == seen.size()) seen.push_back(view.slice(page));
      ASSERT_EQ(view.slice(page), seen[static_cast<size_t>(page)]);
    }
    cache.commit(sequence, 5);
  }
}

TEST(Cache, ReservesWhatTheFormulaSays) {
  const CacheOptions options{.context_tokens = 500, .chunk_tokens = 64, .sequences = 2};
  const Cache cache(local_and_global(), options);
  int64_t bytes = 0;
  for (const GroupSpec& group : local_and_global()) bytes += 2 * pages_needed(group, options) * page_bytes(group);
  EXPECT_EQ(cache.limit_bytes(), bytes);
}

}  // namespace
}  // namespace fovea::kv
