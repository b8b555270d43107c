// Random operations against the dumbest cache there is: per sequence, and layer of a group, one array with an entry per
// position.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kv/cache.h"
#include "support/operation_count.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

// A slot's share of a slice; the tag of its position stands at both ends of it.
struct Slot {
  std::byte* begin;
  std::byte* end;

  Slot(const Cache& cache, SequenceId sequence, const GroupSpec& group, int layer, int position) {
    const size_t bytes = group.layout.slice_bytes() / kPageTokens;
    const kernels::KvPages pages = group.newest ? cache.newest_view(sequence, layer) : cache.view(sequence, layer);
    std::byte* slice = pages.slice(position / kPageTokens);
    begin = slice + static_cast<size_t>(position % kPageTokens) * bytes;
    end = begin + bytes;
  }
  void write(uint64_t tag) const {
    std::memcpy(begin, &tag, sizeof tag);
    std::memcpy(end - sizeof tag, &tag, sizeof tag);
  }
  bool holds(uint64_t tag) const {
    return std::memcmp(begin, &tag, sizeof tag) == 0 && std::memcmp(end - sizeof tag, &tag, sizeof tag) == 0;
  }
};

struct Plain {
  SequenceId id{};
  int length = 0;
  int reserved_end = 0;
  std::vector<std::vector<uint64_t>> tags;  // [RandomOperations::array_of][position], written ones
};

class RandomOperations {
 public:
  RandomOperations(std::vector<GroupSpec> groups, const CacheOptions& options, unsigned seed)
      : groups_(groups), options_(options), cache_(std::move(groups), options), random_(seed) {
    for (const GroupSpec& group : groups_) layers_ = std::max(layers_, group.layers.back() + 1);
  }

  void run(int operations) {
    for (int i = 0; i < operations && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("operation " + std::to_string(i));
      step();
      cache_.check();
      expect_pages_as_counted();
      if (i % 32 == 0) {
        for (const Plain& plain : live_) expect_readable_as_written(plain);
      }
    }
    EXPECT_GT(refusals_ + (options_.total_tokens == 0), 0) << "the limit was never reached";
  }

 private:
  int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }

  void step() {
    const int choice = below(100);
    if (live_.empty() || choice < 3) return create();
    const size_t which = static_cast<size_t>(below(static_cast<int>(live_.size())));
    if (choice < 4) return release(which);
    Plain& plain = live_[which];
    if (plain.length == options_.context_tokens) return release(which);
    if (choice < 55) {
      reserve(plain);
    } else {
      commit(plain);
    }
    expect_readable_as_written(plain);
  }

  void create() {
    const std::optional<SequenceId> id = cache_.create();
    ASSERT_EQ(id.has_value(), live_.size() < static_cast<size_t>(options_.sequences));
    if (!id) return;
    for (const Plain& other : live_) ASSERT_NE(other.id, *id);
    live_.push_back({.id = *id, .tags = std::vector<std::vector<uint64_t>>(static_cast<size_t>(2 * layers_))});
  }

  void release(size_t which) {
    cache_.release(live_[which].id);
    live_.erase(live_.begin() + static_cast<ptrdiff_t>(which));
  }

  void reserve(Plain& plain) {
    const int room = std::min(options_.chunk_tokens, options_.context_tokens - plain.length);
    const int end = plain.length + 1 + below(room);
    const int before = std::exchange(plain.reserved_end, std::max(plain.reserved_end, end));
    bool fits = true;
    for (size_t g = 0; g < groups_.size(); ++g) fits &= pages_counted(g) <= cache_.stats()[g].capacity_pages;
    ASSERT_EQ(cache_.reserve(plain.id, end - plain.length), fits);
    if (!fits) plain.reserved_end = before;
    refusals_ += !fits;
  }

  void commit(Plain& plain) {
    const int tokens = below(plain.reserved_end - plain.length + 1);
    for (int position = plain.length; position < plain.length + tokens; ++position) {
      for (const GroupSpec& group : groups_) {
        for (const int layer : group.layers) {
          std::vector<uint64_t>& tags = plain.tags[array_of(group, layer)];
          tags.push_back(random_());
          Slot(cache_, plain.id, group, layer, position).write(tags.back());
        }
      }
    }
    cache_.commit(plain.id, tokens);
    plain.length += tokens;
    ASSERT_EQ(cache_.length(plain.id), plain.length);
  }

  size_t array_of(const GroupSpec& group, int layer) const { return static_cast<size_t>(layer + (group.newest ? layers_ : 0)); }

  static bool readable(const GroupSpec& group, int position, int length) {
    return group.window == kWholePast || position > length - group.window;
  }

  void expect_readable_as_written(const Plain& plain) const {
    for (const GroupSpec& group : groups_) {
      for (const int layer : group.layers) {
        for (int position = 0; position < plain.length; ++position) {
          if (!readable(group, position, plain.length)) continue;
          const uint64_t tag = plain.tags[array_of(group, layer)][static_cast<size_t>(position)];
          ASSERT_TRUE(Slot(cache_, plain.id, group, layer, position).holds(tag)) << "layer " << layer << ", position " << position;
        }
      }
    }
  }

  // Pages that were needed by what is reserved, and have a position that a query to come can read; over all
  // sequences.
  int pages_counted(size_t g) const {
    int pages = 0;
    for (const Plain& plain : live_) {
      int newest = -1;
      for (int position = 0; position < plain.reserved_end || position % kPageTokens != 0; ++position) {
        if (!readable(groups_[g], position, plain.length) || position / kPageTokens == newest) continue;
        newest = position / kPageTokens;
        ++pages;
      }
    }
    return pages;
  }

  void expect_pages_as_counted() const {
    const std::vector<GroupStats> stats = cache_.stats();
    for (size_t g = 0; g < groups_.size(); ++g) {
      ASSERT_EQ(stats[g].held_pages, pages_counted(g));
      ASSERT_LE(stats[g].peak_held_pages, stats[g].capacity_pages);
    }
  }

  std::vector<GroupSpec> groups_;
  CacheOptions options_;
  Cache cache_;
  std::mt19937_64 random_;
  int layers_ = 0;
  std::vector<Plain> live_;
  int refusals_ = 0;
};

const int kOperations = testing_support::operation_count(20'000);
const kernels::KvLayout kEven{KvCodec::f16, 1, 4};
const kernels::KvLayout kOdd{KvCodec::f32, 1, 3};

TEST(PagedCache, BehavesLikeOneBigArrayWithLocalAndGlobalLayers) {
  RandomOperations({{.window = 20, .layers = {0, 1, 3}, .layout = kOdd}, {.layers = {2, 5}, .layout = kEven}},
                   {.context_tokens = 150, .chunk_tokens = 33, .sequences = 4, .total_tokens = 200}, 1)
      .run(kOperations);
}

TEST(PagedCache, BehavesLikeOneBigArrayWithTwoWindows) {
  RandomOperations({{.window = 1, .layers = {1}, .layout = kEven}, {.window = 33, .layers = {0, 2}, .layout = kOdd}},
                   {.context_tokens = 200, .chunk_tokens = 17, .sequences = 3}, 2)
      .run(kOperations);
}

TEST(PagedCache, BehavesLikeOneBigArrayWithGlobalLayersOnly) {
  RandomOperations({{.layers = {0, 1}, .layout = kEven}}, {.context_tokens = 100, .chunk_tokens = 40, .sequences = 5, .total_tokens = 130},
                   3)
      .run(kOperations);
}

TEST(PagedCache, BehavesLikeOneBigArrayWithTwoWindowsThatRunOut) {
  RandomOperations({{.window = 16, .layers = {0}, .layout = kOdd}, {.window = 64, .layers = {1, 2}, .layout = kEven}},
                   {.context_tokens = 90, .chunk_tokens = 64, .sequences = 6, .total_tokens = 100}, 4)
      .run(kOperations);
}

TEST(PagedCache, BehavesLikeOneBigArrayWithTheNewestTokensOfLayersApart) {
  RandomOperations({{.window = 40, .layers = {0, 2}, .layout = kOdd},
                    {.layers = {1, 3}, .layout = kEven},
                    {.window = 16, .layers = {0, 2}, .layout = kEven, .newest = true},
                    {.window = 20, .layers = {1, 3}, .layout = kOdd, .newest = true}},
                   {.context_tokens = 130, .chunk_tokens = 35, .sequences = 4, .total_tokens = 180}, 6)
      .run(kOperations);
}

TEST(PagedCache, BehavesLikeOneBigArrayWithRowsThatHoldTheirValues) {
  RandomOperations({{.window = 48, .layers = {0}, .layout = kEven},
                    {.layers = {1, 3}, .layout = {KvCodec::f16, 1, 10, 8}},
                    {.layers = {2}, .layout = {KvCodec::f32, 2, 4, 4}}},
                   {.context_tokens = 120, .chunk_tokens = 30, .sequences = 4, .total_tokens = 160}, 5)
      .run(kOperations);
}

}  // namespace
}  // namespace fovea::kv
