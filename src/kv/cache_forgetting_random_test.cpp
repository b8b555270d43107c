// Random operations on sequences that forget and shift, and their forks, against the dumbest oracle there is: per sequence and
// layer one array of what its slots hold, from which the forgotten is erased.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kv/cache.h"
#include "kv/eviction.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

struct Plain {
  SequenceId id{};
  int length = 0, forgotten = 0;
  int settled = 0;   // nothing before can be gone back to
  int furthest = 0;  // length it ever had
  bool forgets = false;
  std::vector<std::vector<uint64_t>> tags;   // [layer][slot]: what lies there; windows: by position
  std::vector<std::vector<uint64_t>> sinks;  // [layer][slot]: what was computed, where it was moved since
  std::vector<int> stands_at = {};  // of what layers without a window hold: the position by which a query sees it
};

class ForgettingOperations {
 public:
  ForgettingOperations(std::vector<GroupSpec> groups, const CacheOptions& options, unsigned seed)
      : groups_(groups), options_(options), pages_(in_pages(options.eviction)), cache_(std::move(groups), options), random_(seed) {
    for (const GroupSpec& group : groups_) {
      for (const int layer : group.layers) layers_.push_back({layer, group.window});
    }
    std::ranges::sort(layers_, {}, &Layer::index);
  }

  void run(int operations) {
    for (int i = 0; i < operations && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("operation " + std::to_string(i));
      step();
      cache_.check();
      if (i % 16 == 0) {
        for (const Plain& plain : live_) expect_as_written(plain);
      }
    }
    EXPECT_GT(evictions_ + (options_.eviction.policy == EvictionPolicy::none), 0);
    EXPECT_GT(shifts_, 0);
    EXPECT_GT(forks_, 0);
  }

 private:
  struct Layer {
    int index, window;
    bool whole() const { return window == kWholePast; }
  };

  int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }

  void step() {
    const int choice = below(100);
    if (live_.empty() || choice < 3) return create();
    const auto which = static_cast<size_t>(below(static_cast<int>(live_.size())));
    if (choice < 4) return release(which);
    if (choice < 7) return fork(which);
    Plain& plain = live_[which];
    if (choice < 12) return roll_back(plain);
    if (choice < 18 && !plain.forgets) return shift(plain);
    append(which);
  }

  void create() {
    const std::optional<SequenceId> id = cache_.create();
    ASSERT_EQ(id.has_value(), live_.size() < static_cast<size_t>(options_.sequences));
    if (!id) return;
    live_.push_back({.id = *id, .tags = std::vector<std::vector<uint64_t>>(layers_.size()), .sinks = {}});
    live_.back().forgets = options_.eviction.policy != EvictionPolicy::none && below(3) > 0;
    if (live_.back().forgets) cache_.let_forget(*id);
  }

  void release(size_t which) {
    cache_.release(live_[which].id);
    live_.erase(live_.begin() + static_cast<ptrdiff_t>(which));
  }

  void fork(size_t which) {
    const std::optional<SequenceId> id = cache_.fork(live_[which].id);
    ASSERT_EQ(id.has_value(), live_.size() < static_cast<size_t>(options_.sequences));
    if (!id) return;
    live_.push_back(live_[which]);
    live_.back().id = *id;
    ++forks_;
    expect_as_written(live_.back());
  }

  void append(size_t which) {
    Plain& plain = live_[which];
    const bool full = plain.length == options_.context_tokens;
    const int room = std::min(budget() - (plain.length - plain.forgotten), options_.context_tokens - plain.length);
    ASSERT_EQ(cache_.room_tokens(plain.id), room);
    if (full || (room == 0 && !plain.forgets)) return release(which);
    if (room == 0) return evict(plain);
    const int tokens = 1 + below(std::min(options_.chunk_tokens, room));
    ASSERT_TRUE(cache_.reserve(plain.id, tokens));
    for (size_t l = 0; l < layers_.size(); ++l) {
      for (int i = 0; i < tokens; ++i) write(plain, l, static_cast<int>(plain.tags[l].size()), random_());
    }
    cache_.commit(plain.id, tokens);
    for (int i = 0; i < tokens; ++i) plain.stands_at.push_back(plain.length + i);
    plain.length += tokens;
    plain.furthest = std::max(plain.furthest, plain.length);
    expect_as_written(plain);
  }

  // What attention would have said of the pages, and which of them are then to go.
  std::vector<int> expected_victims(const Plain& plain) {
    std::vector<int> victims;
    int64_t* attended = nullptr;
    for (const Layer& layer : layers_) {
      if (layer.whole()) attended = cache_.attended(plain.id, layer.index).pages;
    }
    EXPECT_EQ(attended != nullptr, goes_by_attention(options_.eviction.policy));
    for (int page = pages_.sinks; page < pages_.budget - pages_.recent; ++page) {
      if (attended) attended[page] = page * 1000 + below(5000);
      victims.push_back(page);
    }
    if (attended) std::ranges::stable_sort(victims, {}, [&](int page) { return attended[page]; });
    victims.resize(static_cast<size_t>(pages_.interval));
    std::ranges::sort(victims, std::greater());
    return victims;
  }

  void evict(Plain& plain) {
    const std::vector<int> victims = expected_victims(plain);
    ASSERT_TRUE(cache_.evict(plain.id));
    plain.forgotten += pages_.interval * kPageTokens;
    plain.settled = plain.length;
    const int moved = moves_sinks(options_.eviction.policy) ? pages_.sinks * kPageTokens : 0;
    ASSERT_EQ(cache_.moved_sinks(plain.id), moved);
    if (plain.sinks.empty()) {
      for (const auto& tags : plain.tags) plain.sinks.emplace_back(tags.begin(), tags.begin() + moved);
    }
    for (const int page : victims) {
      const auto first = plain.stands_at.begin() + page * kPageTokens;
      plain.stands_at.erase(first, first + kPageTokens);
    }
    for (int slot = 0; slot < moved; ++slot) plain.stands_at[static_cast<size_t>(slot)] = slot + plain.forgotten;
    for (size_t l = 0; l < layers_.size(); ++l) {
      ASSERT_EQ(cache_.forgotten(plain.id, layers_[l].index), layers_[l].whole() ? plain.forgotten : 0);
      if (!layers_[l].whole()) continue;
      std::vector<uint64_t>& tags = plain.tags[l];
      for (const int page : victims) tags.erase(tags.begin() + page * kPageTokens, tags.begin() + (page + 1) * kPageTokens);
      std::ranges::copy(plain.sinks[l], tags.begin());
    }
    expect_as_written(plain);
    for (size_t l = 0; l < layers_.size(); ++l) {  // the sinks are moved, in copies that nobody else sees
      for (int slot = 0; slot < moved && layers_[l].whole(); ++slot) write(plain, l, slot, random_());
    }
    for (const Plain& other : live_) expect_as_written(other);
    ++evictions_;
  }

  void shift(Plain& plain) {
    const int keep = below(4) * kPageTokens, most = cache_.longest_shift(plain.id, keep);
    int oldest = plain.length;  // that some window reaches
    for (const Layer& layer : layers_) {
      if (!layer.whole()) oldest = std::min(oldest, std::max(0, plain.length - layer.window - options_.rollback_tokens + 1));
    }
    ASSERT_EQ(most, std::max(0, oldest / kPageTokens * kPageTokens - keep));
    if (most == 0) return;
    const int drop = kPageTokens * (1 + below(most / kPageTokens));
    ASSERT_TRUE(cache_.shift(plain.id, keep, drop));
    for (auto& tags : plain.tags) tags.erase(tags.begin() + keep, tags.begin() + keep + drop);
    plain.length -= drop;
    plain.stands_at.resize(static_cast<size_t>(plain.length));
    plain.furthest -= drop;
    plain.settled = plain.length;
    ASSERT_EQ(cache_.length(plain.id), plain.length);
    expect_as_written(plain);
    for (size_t l = 0; l < layers_.size(); ++l) {  // what moved is turned, in pages of its own
      for (int slot = std::max(keep, readable_from(layers_[l], plain)); slot < plain.length; ++slot) write(plain, l, slot, random_());
    }
    for (const Plain& other : live_) expect_as_written(other);
    ++shifts_;
  }

  void roll_back(Plain& plain) {
    const int length = below(plain.length + 1);
    const bool possible = cache_.roll_back(plain.id, length);
    const bool promised = length >= plain.settled && plain.furthest - length <= options_.rollback_tokens;
    ASSERT_TRUE(possible ? length >= plain.settled : !promised);
    if (!possible) return;
    for (size_t l = 0; l < layers_.size(); ++l)
      plain.tags[l].resize(static_cast<size_t>(length - (layers_[l].whole() ? plain.forgotten : 0)));
    plain.stands_at.resize(static_cast<size_t>(length - plain.forgotten));
    plain.length = length;
    expect_as_written(plain);
  }

  static std::byte* slot_of(const Cache& cache, SequenceId id, int layer, int slot) {
    const size_t bytes = cache.layout(layer).slice_bytes() / kPageTokens;
    return cache.view(id, layer).slice(slot / kPageTokens) + static_cast<size_t>(slot % kPageTokens) * bytes;
  }

  void write(Plain& plain, size_t layer, int slot, uint64_t tag) {
    std::vector<uint64_t>& tags = plain.tags[layer];
    if (slot == static_cast<int>(tags.size())) tags.push_back(tag);
    tags[static_cast<size_t>(slot)] = tag;
    std::memcpy(slot_of(cache_, plain.id, layers_[layer].index, slot), &tag, sizeof tag);
  }

  static int readable_from(const Layer& layer, const Plain& plain) {
    return layer.whole() ? 0 : std::max(0, plain.length - layer.window + 1);
  }

  void expect_as_written(const Plain& plain) const {
    for (size_t l = 0; l < layers_.size(); ++l) {
      const int end = plain.length - (layers_[l].whole() ? plain.forgotten : 0);
      ASSERT_EQ(static_cast<int>(plain.tags[l].size()), end);
      for (int slot = readable_from(layers_[l], plain); slot < end; ++slot) {
        if (cache_.layout(layers_[l].index).turned > 0) {
          const kernels::KvPages pages = cache_.view(plain.id, layers_[l].index);
          ASSERT_EQ(pages.position_of(slot / kPageTokens) + slot % kPageTokens, plain.stands_at[static_cast<size_t>(slot)]) << "slot " << slot;
        }
        ASSERT_EQ(std::memcmp(slot_of(cache_, plain.id, layers_[l].index, slot), &plain.tags[l][static_cast<size_t>(slot)], 8), 0)
            << "layer " << layers_[l].index << ", slot " << slot;
      }
    }
  }

  int budget() const { return options_.eviction.policy == EvictionPolicy::none ? options_.context_tokens : pages_.budget * kPageTokens; }

  std::vector<GroupSpec> groups_;
  CacheOptions options_;
  EvictionPages pages_;
  Cache cache_;
  std::mt19937_64 random_;
  std::vector<Layer> layers_;
  std::vector<Plain> live_;
  int evictions_ = 0, shifts_ = 0, forks_ = 0;
};

constexpr int kOperations = 60'000;
const kernels::KvLayout kLayout{KvCodec::f16, 1, 4};

CacheOptions options(EvictionPolicy policy) {
  return {.context_tokens = 500,
          .chunk_tokens = 33,
          .sequences = 5,
          .rollback_tokens = 8,
          .eviction = {.policy = policy, .budget_tokens = 150, .sinks = 20, .recent_tokens = 40, .interval_tokens = 30}};
}

const kernels::KvLayout kTurned{KvCodec::f16, 1, 4, 4, 2};  // keys are turned as they are read
const std::vector<GroupSpec> kHybrid = {{.window = 20, .layers = {0, 2}, .layout = kLayout}, {.layers = {1, 3}, .layout = kTurned}};

TEST(Forgetting, BehavesLikeArraysThatAreErasedFromWithStreaming) {
  ForgettingOperations(kHybrid, options(EvictionPolicy::streaming), 1).run(kOperations);
}

TEST(Forgetting, BehavesLikeArraysThatAreErasedFromWithHeavyHitters) {
  ForgettingOperations(kHybrid, options(EvictionPolicy::heavy_hitters), 2).run(kOperations);
}

TEST(Forgetting, BehavesLikeArraysThatAreErasedFromWithPersistenceAndOnlyGlobalLayers) {
  ForgettingOperations({{.layers = {0, 1}, .layout = kTurned}}, options(EvictionPolicy::persistence), 3).run(kOperations);
}

TEST(Forgetting, ShiftBehavesLikeArraysThatAreErasedFrom) {
  ForgettingOperations({{.window = 20, .layers = {0}, .layout = kLayout},
                        {.window = 50, .layers = {1, 2}, .layout = kLayout},
                        {.layers = {3}, .layout = kTurned}},
                       options(EvictionPolicy::none), 4)
      .run(kOperations);
}

}  // namespace
}  // namespace fovea::kv
