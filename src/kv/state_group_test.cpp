// States beside pages: as many bytes as asked for, zero where a sequence begins, nobody else's, and kept at boundaries.
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kv/cache.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

const GroupSpec kStates = {kWholePast, {0, 2}, {}, 400};
const GroupSpec kPages = {kWholePast, {1}, {KvCodec::f32, 1, 8}};
const CacheOptions kOptions = {64, 16, 3, 0};

std::vector<int32_t> counted(int tokens) {
  std::vector<int32_t> text(static_cast<size_t>(tokens));
  std::iota(text.begin(), text.end(), 1);
  return text;
}

Reuse begin(Cache& cache, SequenceId id, const std::vector<int32_t>& text, int most_reused) {
  Prompt prompt;
  prompt.tokens = text;
  prompt.most_reused = most_reused;
  return cache.begin(id, prompt);
}

// Computes the text from where the sequence is, in steps that end at boundaries; a state counts its tokens.
void compute(Cache& cache, SequenceId id, const std::vector<int32_t>& text) {
  while (cache.length(id) < static_cast<int>(text.size())) {
    const int length = cache.length(id), left = static_cast<int>(text.size()) - length;
    const int count = std::min({left, 16, cache.tokens_to_boundary(id)});
    ASSERT_TRUE(cache.reserve(id, count));
    for (const int layer : {0, 2}) {
      for (int i = 0; i < 100; ++i) cache.state(id, layer)[i] += static_cast<float>(count);
    }
    cache.commit(id, std::span(text).subspan(static_cast<size_t>(length), static_cast<size_t>(count)));
    cache.check();
  }
}

TEST(States, CostTheSameForAnyLength) {
  EXPECT_EQ(exact_bytes(kStates, 1), 800);
  EXPECT_EQ(exact_bytes(kStates, 1000), 800);
  EXPECT_EQ(capacity_pages(kStates, kOptions), 3);  // one per sequence
}

TEST(States, AreZeroWhereASequenceBeginsAndNobodyElses) {
  Cache cache({kStates, kPages}, kOptions);
  const SequenceId first = *cache.create(), second = *cache.create();
  ASSERT_TRUE(cache.reserve(first, 1) && cache.reserve(second, 1));
  for (const int layer : {0, 2}) {
    for (int i = 0; i < 100; ++i) cache.state(first, layer)[i] = static_cast<float>(layer + 1);
  }
  for (const int layer : {0, 2}) {
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(cache.state(first, layer)[i], static_cast<float>(layer + 1));
      EXPECT_EQ(cache.state(second, layer)[i], 0);
    }
  }
  cache.release(first);
  const SequenceId again = *cache.create();
  ASSERT_TRUE(cache.reserve(again, 1));
  for (const int layer : {0, 2}) {
    for (int i = 0; i < 100; ++i) EXPECT_EQ(cache.state(again, layer)[i], 0);
  }
  cache.check();
}

TEST(States, AreSharedByAForkUntilOneOfThemGoesOn) {
  Cache cache({kStates, kPages}, kOptions);
  const SequenceId parent = *cache.create();
  ASSERT_TRUE(cache.reserve(parent, 4));
  cache.state(parent, 0)[0] = 4;
  cache.commit(parent, 4);
  const int64_t before = cache.used_bytes();
  const SequenceId child = *cache.fork(parent);
  EXPECT_EQ(cache.used_bytes(), before);
  ASSERT_TRUE(cache.reserve(child, 1));
  cache.state(child, 0)[0] = 5;
  EXPECT_EQ(cache.state(parent, 0)[0], 4);
  cache.check();
}

TEST(States, OfABoundaryAreContinuedFrom) {
  CacheOptions options = kOptions;
  options.retained_bytes = 1 << 16;
  Cache cache({kStates, kPages}, options);
  const std::vector<int32_t> text = counted(40);
  const SequenceId id = *cache.create();
  begin(cache, id, text, 39);
  compute(cache, id, text);
  cache.retire(id);
  EXPECT_EQ(cache.boundaries(), 2);  // before the last token of the prompt, and at the end

  std::vector<int32_t> longer = text;
  longer.push_back(99);
  const SequenceId next = *cache.create();
  EXPECT_EQ(begin(cache, next, longer, 40).tokens, 40);
  EXPECT_EQ(cache.state(next, 2)[7], 40);
  compute(cache, next, longer);
  EXPECT_EQ(cache.state(next, 2)[7], 41);

  const SequenceId again = *cache.create();
  EXPECT_EQ(begin(cache, again, text, 39).tokens, 39) << "the last token can be computed again";
  EXPECT_EQ(cache.state(again, 0)[0], 39);
  cache.check();
}

TEST(States, AreKeptWhereTwoPromptsPartOnceThatHasBeenSeen) {
  CacheOptions options = kOptions;
  options.retained_bytes = 1 << 16;
  Cache cache({kStates, kPages}, options);
  const auto ask = [&](int32_t last) {
    std::vector<int32_t> text = counted(40);
    text[30] = last;
    const SequenceId id = *cache.create();
    const Reuse reuse = begin(cache, id, text, 39);
    compute(cache, id, text);
    cache.retire(id);
    return reuse;
  };
  EXPECT_EQ(ask(101).tokens, 0);
  const Reuse second = ask(102);
  EXPECT_EQ(second.tokens, 0);
  EXPECT_EQ(second.matched, 30);
  EXPECT_EQ(second.reason, MissReason::no_state);
  EXPECT_EQ(ask(103).tokens, 30);
}

TEST(States, OfRunningSequencesTakeTheRoomOfThoseThatAreOnlyKept) {
  Cache cache({kStates, kPages}, {64, 16, 1, 0});
  for (int i = 0; i < 5; ++i) {
    std::vector<int32_t> text = counted(40);
    text[0] = -i;
    const SequenceId id = *cache.create();
    begin(cache, id, text, 39);
    compute(cache, id, text);
    EXPECT_EQ(cache.state(id, 0)[0], 40);
    EXPECT_LE(cache.used_bytes(), cache.limit_bytes());
    cache.retire(id);
  }
}

}  // namespace
}  // namespace fovea::kv
