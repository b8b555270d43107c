#include "kv/group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kv/cache.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

constexpr int kWalkTokens = 20'000;

// Counts the pages with a position in [begin, end), position by position.
int pages_with_positions(int begin, int end) {
  int pages = 0;
  int newest = -1;
  for (int position = begin; position < end; ++position) {
    pages += position / kPageTokens != newest;
    newest = position / kPageTokens;
  }
  return pages;
}

// End of the page that `end` positions reach into: its unwritten slots are read by queries to come.
int end_of_page(int end) {
  while (end % kPageTokens != 0) ++end;
  return end;
}

// Oldest key that a query at `query` sees, straight from the definition: query - window < key.
int oldest_key(int window, int query) {
  int key = query;
  while (key > 0 && query - (key - 1) < window) --key;
  return key;
}

struct Walk {
  int window;
  std::vector<int> chunks;  // taken in turn
};

// Walks one sequence and compares, before and after each commit, with the counts above. Returns the most
// pages held.
int walk(const Walk& walk, Cache& cache) {
  const SequenceId sequence = *cache.create();
  int most = 0;
  size_t turn = 0;
  for (int length = 0; length < kWalkTokens;) {
    const int chunk = std::min(walk.chunks[turn++ % walk.chunks.size()], kWalkTokens - length);
    EXPECT_TRUE(cache.reserve(sequence, chunk));
    const int held = cache.stats()[0].held_pages;
    EXPECT_EQ(held, pages_with_positions(oldest_key(walk.window, length), length + chunk));
    most = std::max(most, held);
    cache.commit(sequence, chunk);
    length += chunk;
    EXPECT_EQ(cache.stats()[0].held_pages, pages_with_positions(oldest_key(walk.window, length), end_of_page(length)));
    if (testing::Test::HasFailure()) break;
  }
  cache.check();
  cache.release(sequence);
  return most;
}

TEST(LocalGroup, NeverHoldsMoreThanWindowPlusChunkNeeds) {
  for (const int window : {1, 2, 16, 17, 100, 512}) {
    for (const std::vector<int>& chunks : {std::vector{1}, {7}, {64}, {512}, {1, 7, 64, 512}, {512, 1, 1, 1}, {64, 7, 7, 1}}) {
      SCOPED_TRACE("window " + std::to_string(window) + ", first chunk " + std::to_string(chunks[0]));
      const CacheOptions options{.context_tokens = kWalkTokens, .chunk_tokens = *std::max_element(chunks.begin(), chunks.end())};
      const GroupSpec local{.window = window, .layers = {0}, .layout = {KvCodec::f16, 1, 2}};
      Cache cache({local}, options);
      const int most = walk({window, chunks}, cache);
      const int needed = pages_needed(local, options);
      EXPECT_LE(most, needed);
      EXPECT_LE(needed, (window - 1 + options.chunk_tokens + kPageTokens - 1) / kPageTokens + 1);
      EXPECT_EQ(cache.stats()[0].capacity_pages, needed);
      EXPECT_EQ(cache.stats()[0].peak_held_pages, most);
      EXPECT_EQ(cache.stats()[0].held_pages, 0);
    }
  }
}

TEST(LocalGroup, ReachesTheWorstAlignmentThatItIsGivenPagesFor) {
  const CacheOptions options{.context_tokens = kWalkTokens, .chunk_tokens = 7};
  const GroupSpec local{.window = 17, .layers = {0}, .layout = {KvCodec::f16, 1, 2}};
  Cache cache({local}, options);
  EXPECT_EQ(walk({17, {7}}, cache), pages_needed(local, options));
}

TEST(LocalGroup, OfWindowOneHoldsNothingAtAPageBorder) {
  Cache cache({{.window = 1, .layers = {0}, .layout = {KvCodec::f16, 1, 2}}}, {.context_tokens = 64, .chunk_tokens = 16});
  const SequenceId sequence = *cache.create();
  ASSERT_TRUE(cache.reserve(sequence, 16));
  cache.commit(sequence, 16);
  EXPECT_EQ(cache.stats()[0].held_pages, 0);
  EXPECT_EQ(cache.view(sequence, 0).first_page, 1);
  EXPECT_EQ(cache.view(sequence, 0).page_count, 0);
  ASSERT_TRUE(cache.reserve(sequence, 1));
  EXPECT_EQ(cache.view(sequence, 0).page_count, 1);
  cache.check();
}

TEST(GlobalGroup, HoldsThePastInWholePages) {
  Cache cache({{.layers = {0}, .layout = {KvCodec::f16, 1, 2}}}, {.context_tokens = kWalkTokens, .chunk_tokens = 64});
  const SequenceId sequence = *cache.create();
  for (int length = 0; length + 37 <= kWalkTokens; length += 37) {
    ASSERT_EQ(cache.stats()[0].held_pages, pages_with_positions(0, length));
    ASSERT_TRUE(cache.reserve(sequence, 37));
    cache.commit(sequence, 37);
  }
}

}  // namespace
}  // namespace fovea::kv
