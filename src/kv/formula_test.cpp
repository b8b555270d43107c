#include "kv/formula.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "fovea/error.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

GroupSpec group(int window, std::vector<int> layers = {0}) {
  return {.window = window, .layers = std::move(layers), .layout = {KvCodec::f16, 1, 4}};
}

// Most pages that the window's past and a chunk touch, over all places where the chunk may begin.
int most_pages_touched(int window, const CacheOptions& options) {
  size_t most = 0;
  for (int begin = 0; begin < options.context_tokens; ++begin) {
    std::set<int> pages;
    for (int query = begin; query < begin + options.chunk_tokens && query < options.context_tokens; ++query) {
      for (int key = std::max(0, query - window + 1); key <= query; ++key) pages.insert(key / kPageTokens);
    }
    most = std::max(most, pages.size());
  }
  return static_cast<int>(most);
}

TEST(Formula, PagesNeededIsTheMostThatAnyAlignmentTouches) {
  for (const int window : {1, 2, 15, 16, 17, 18, 33, 100}) {
    for (const int chunk : {1, 2, 7, 15, 16, 17, 40}) {
      for (const int context : {1, 16, 17, 50, 200}) {
        const CacheOptions options{.context_tokens = context, .chunk_tokens = chunk};
        const int needed = pages_needed(group(window), options);
        const int touched = most_pages_touched(window, options);
        // Where the context cuts off the worst alignment, the formula may keep one page that is never used.
        const bool cut_off = context < window + chunk + kPageTokens;
        EXPECT_GE(needed, touched) << window << ' ' << chunk << ' ' << context;
        EXPECT_LE(needed, touched + (cut_off ? 1 : 0)) << window << ' ' << chunk << ' ' << context;
      }
    }
  }
}

TEST(Formula, WholePastNeedsTheContextInWholePages) {
  EXPECT_EQ(pages_needed(group(kWholePast), {.context_tokens = 1, .chunk_tokens = 512}), 1);
  EXPECT_EQ(pages_needed(group(kWholePast), {.context_tokens = 32, .chunk_tokens = 1}), 2);
  EXPECT_EQ(pages_needed(group(kWholePast), {.context_tokens = 33, .chunk_tokens = 1}), 3);
}

TEST(Formula, AQueryReadsItsWindowItselfIncluded) {
  for (const int window : {1, 16, 17}) {
    for (int query = 0; query < 60; ++query) {
      int oldest = query;
      while (oldest > 0 && query - (oldest - 1) < window) --oldest;
      EXPECT_EQ(first_readable(window, query), oldest) << window << ' ' << query;
    }
  }
  EXPECT_EQ(first_readable(kWholePast, 1'000'000), 0);
}

TEST(Formula, ExactBytesAreWindowEntriesWithoutRounding) {
  // Gemma 3 270M in f16: 15 local and 3 global layers of 512 values per token.
  GroupSpec local = group(512, {0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16});
  GroupSpec global = group(kWholePast, {5, 11, 17});
  local.layout = global.layout = {KvCodec::f16, 1, 256};
  EXPECT_EQ(exact_bytes(local, 32'768), 15 * 512 * 1024);
  EXPECT_EQ(exact_bytes(local, 100), 15 * 100 * 1024);
  EXPECT_EQ(exact_bytes(global, 32'768), 3 * 32'768 * 1024);
  EXPECT_EQ(page_bytes(local), 15 * kPageTokens * 1024);
}

TEST(Formula, SlicesBeginOnCacheLines) {
  GroupSpec odd = group(16, {0, 1, 2});
  odd.layout = {KvCodec::f16, 1, 3};
  ASSERT_NE(odd.layout.slice_bytes() % 64, 0u);
  EXPECT_EQ(layer_stride_bytes(odd) % 64, 0u);
  EXPECT_GE(layer_stride_bytes(odd), odd.layout.slice_bytes());
  EXPECT_EQ(page_bytes(odd), static_cast<int64_t>(3 * layer_stride_bytes(odd)));
}

TEST(Formula, CapacityIsWhatAllSequencesNeedUnlessLimited) {
  CacheOptions options{.context_tokens = 160, .chunk_tokens = 16, .sequences = 3};
  EXPECT_EQ(capacity_pages(group(kWholePast), options), 30);
  EXPECT_EQ(capacity_pages(group(16), options), 9);
  options.total_tokens = 200;
  EXPECT_EQ(capacity_pages(group(kWholePast), options), 13);
  EXPECT_EQ(capacity_pages(group(16), options), 9);
}

TEST(Formula, MorePagesThanCanBeNumberedAreRefused) {
  const CacheOptions options{.context_tokens = 2'000'000'000, .chunk_tokens = 512, .sequences = 1000};
  EXPECT_THROW(capacity_pages(group(kWholePast), options), Error);
}

TEST(Formula, OnlyLayersWithNarrowKeysKeepTheirNewestTokensApart) {
  const auto of = [](KvCodecs codecs, int window, int wanted) { return newest_tokens({codecs, 1, 64}, window, wanted); };
  constexpr int kUsual = EngineOptions::kUsualNewest;
  EXPECT_EQ(of(KvCodec::tq4, kWholePast, kUsual), 16);
  EXPECT_EQ(of({KvCodec::int8, KvCodec::tq3}, kWholePast, kUsual), 16);
  EXPECT_EQ(of(KvCodec::int8, kWholePast, kUsual), 0) << "loses hardly anything";
  EXPECT_EQ(of(KvCodec::int8, kWholePast, 40), 40);
  EXPECT_EQ(of(KvCodec::tq4, kWholePast, 0), 0);
  EXPECT_EQ(of(KvCodec::tq4, 10, kUsual), 10) << "there are no more";
  EXPECT_EQ(of({KvCodec::bf16, KvCodec::tq3}, kWholePast, 40), 0) << "such keys can be moved, by shifts and eviction";
}

TEST(Formula, GroupsOfTheNewestTokensStandBehindTheOthers) {
  GroupSpec local = group(512, {0, 2}), global = group(kWholePast, {1});
  local.layout.codec = KvCodec::tq4;
  const std::vector<GroupSpec> groups = with_newest({local, global, {.layers = {3}, .state_bytes = 8}}, EngineOptions::kUsualNewest);
  ASSERT_EQ(groups.size(), 4u);
  EXPECT_TRUE(groups[3].newest && !groups[0].newest);
  EXPECT_EQ(groups[3].layers, local.layers);
  EXPECT_EQ(groups[3].window, 16);
  EXPECT_EQ(groups[3].layout.codec, KvCodecs(KvCodec::bf16));
  EXPECT_EQ(groups[3].layout.head_dim, local.layout.head_dim);
}

TEST(Formula, ManySequencesShareOneChunkOnItsWay) {
  const GroupSpec local = group(512);
  CacheOptions options{.context_tokens = 8192, .chunk_tokens = 256, .sequences = 1};
  EXPECT_EQ(peak_pages(local, options), pages_needed(local, options));
  options.sequences = 8;
  EXPECT_LT(peak_pages(local, options), capacity_pages(local, options));
  options.chunk_tokens = 1;
  const int64_t settled = peak_pages(local, options);
  EXPECT_EQ(settled, 8 * pages_needed(local, options));
  options.chunk_tokens = 256;
  EXPECT_EQ(peak_pages(local, options), settled + 256 / 16);
  EXPECT_EQ(peak_pages(group(kWholePast), options), capacity_pages(group(kWholePast), options));
}

}  // namespace
}  // namespace fovea::kv
