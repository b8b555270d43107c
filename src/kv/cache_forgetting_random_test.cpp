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
#include "kv/formula.h"
#include "support/operation_count.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

// What one layer holds of a sequence, per slot, from the first that was ever held: positions, without the forgotten ones.
struct Held {
  std::vector<uint64_t> tags;        // what lies there
  std::vector<int> stands_at;        // the position by which a query sees it
  std::vector<uint64_t> sinks = {};  // what was computed, where it was moved since
  int forgotten = 0;
};

struct Plain {
  SequenceId id{};
  int length = 0;
  int settled = 0;   // nothing before can be gone back to
  int furthest = 0;  // length it ever had
  bool forgets = false;
  std::vector<Held> held;  // per layer
};

class ForgettingOperations {
 public:
  ForgettingOperations(std::vector<GroupSpec> groups, const CacheOptions& options, unsigned seed)
      : groups_(groups), options_(options), cache_(std::move(groups), options), random_(seed) {
    for (const GroupSpec& group : groups_) {
      for (const int layer : group.layers) layers_.push_back({layer, &group, forgetting(group, options.eviction)});
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
    EXPECT_GT(local_evictions_ + (options_.eviction.local_budget_tokens == 0), 0);
    EXPECT_GT(shifts_ + (options_.eviction.local_budget_tokens > 0), 0);
    EXPECT_GT(forks_, 0);
  }

 private:
  struct Layer {
    int index;
    const GroupSpec* group;
    std::optional<EvictionPages> forgetting;
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
    live_.push_back({.id = *id, .held = std::vector<Held>(layers_.size())});
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
    int room = options_.context_tokens - plain.length;
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (layers_[l].forgetting) room = std::min(room, layers_[l].forgetting->budget * kPageTokens - held_tokens(plain, l));
    }
    ASSERT_EQ(cache_.room_tokens(plain.id), room);
    if (full || (room == 0 && !plain.forgets)) return release(which);
    if (room == 0) return evict(plain);
    const int tokens = 1 + below(std::min(options_.chunk_tokens, room));
    ASSERT_TRUE(cache_.reserve(plain.id, tokens));
    for (size_t l = 0; l < layers_.size(); ++l) {
      for (int i = 0; i < tokens; ++i) {
        plain.held[l].stands_at.push_back(plain.length + i);
        write(plain, l, static_cast<int>(plain.held[l].tags.size()), random_());
      }
    }
    cache_.commit(plain.id, tokens);
    plain.length += tokens;
    plain.furthest = std::max(plain.furthest, plain.length);
    expect_as_written(plain);
  }

  // What attention would have said of the pages of a layer's group, and which of them are then to go, the last first.
  std::vector<int> expected_victims(const Plain& plain, size_t l) {
    const Layer& layer = layers_[l];
    int64_t* attended = cache_.attended(plain.id, layer.index).pages;
    EXPECT_EQ(attended != nullptr, goes_by_attention(options_.eviction.policy));
    std::vector<int> victims;
    std::vector<int64_t> worth(static_cast<size_t>(layer.forgetting->budget));
    for (int page = layer.forgetting->sinks; page < layer.forgetting->budget - layer.forgetting->recent; ++page) {
      victims.push_back(page);
      if (!attended) continue;
      attended[page] = page * 1000 + below(5000);
      const int last = plain.held[l].stands_at[static_cast<size_t>(page * kPageTokens)] + kPageTokens - 1;
      const bool left = layer.group->window != kWholePast && last <= plain.length - layer.group->window;
      worth[static_cast<size_t>(page)] = left ? -1 : attended[page];
    }
    if (attended) std::ranges::stable_sort(victims, {}, [&](int page) { return worth[static_cast<size_t>(page)]; });
    victims.resize(static_cast<size_t>(layer.forgetting->interval));
    std::ranges::sort(victims, std::greater());
    return victims;
  }

  void forget(const Plain& plain, size_t l, const std::vector<int>& victims, Held& held) {
    const EvictionPages& pages = *layers_[l].forgetting;
    if (held.forgotten == 0) held.sinks.assign(held.tags.begin(), held.tags.begin() + pages.copied_sinks * kPageTokens);
    for (const int page : victims) {
      held.stands_at.erase(held.stands_at.begin() + page * kPageTokens, held.stands_at.begin() + (page + 1) * kPageTokens);
      held.tags.erase(held.tags.begin() + page * kPageTokens, held.tags.begin() + (page + 1) * kPageTokens);
    }
    held.forgotten += pages.interval * kPageTokens;
    std::ranges::copy(held.sinks, held.tags.begin());
    if (moves_sinks(options_.eviction.policy)) {
      for (int slot = 0; slot < pages.sinks * kPageTokens; ++slot) held.stands_at[static_cast<size_t>(slot)] = slot + held.forgotten;
    }
    ASSERT_EQ(static_cast<int>(held.tags.size()), plain.length - held.forgotten);
  }

  void evict(Plain& plain) {
    std::vector<size_t> full;
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (layers_[l].forgetting && held_tokens(plain, l) == layers_[l].forgetting->budget * kPageTokens) full.push_back(l);
    }
    std::vector<std::vector<int>> victims(layers_.size());
    for (const size_t l : full) {  // layers of a group forget the same
      const auto same = std::ranges::find_if(full, [&](size_t other) { return layers_[other].group == layers_[l].group; });
      victims[l] = *same < l ? victims[*same] : expected_victims(plain, l);
    }
    ASSERT_TRUE(cache_.evict(plain.id));
    plain.settled = plain.length;
    for (const size_t l : full) forget(plain, l, victims[l], plain.held[l]);
    expect_as_written(plain);
    for (size_t l = 0; l < layers_.size(); ++l) {  // the sinks are moved, in copies that nobody else sees
      const int moved = std::ranges::count(full, l) > 0 ? layers_[l].forgetting->copied_sinks * kPageTokens : 0;
      ASSERT_EQ(cache_.moved_sinks(plain.id, layers_[l].index), moved);
      ASSERT_EQ(cache_.forgotten(plain.id, layers_[l].index), plain.held[l].forgotten);
      for (int slot = 0; slot < moved; ++slot) write(plain, l, slot, random_());
    }
    for (const Plain& other : live_) expect_as_written(other);
    ++evictions_;
    local_evictions_ += std::ranges::any_of(full, [&](size_t l) { return layers_[l].group->window != kWholePast; });
  }

  void shift(Plain& plain) {
    const int keep = below(4) * kPageTokens, most = cache_.longest_shift(plain.id, keep);
    int oldest = plain.length;  // that some window reaches
    for (const Layer& layer : layers_) {
      const int window = layer.group->window;
      if (window != kWholePast) oldest = std::min(oldest, std::max(0, plain.length - window - options_.rollback_tokens + 1));
    }
    ASSERT_EQ(most, std::max(0, oldest / kPageTokens * kPageTokens - keep));
    if (most == 0) return;
    const int drop = kPageTokens * (1 + below(most / kPageTokens));
    ASSERT_TRUE(cache_.shift(plain.id, keep, drop));
    plain.length -= drop;
    for (Held& held : plain.held) {
      held.tags.erase(held.tags.begin() + keep, held.tags.begin() + keep + drop);
      held.stands_at.resize(static_cast<size_t>(plain.length));
    }
    plain.furthest -= drop;
    plain.settled = plain.length;
    ASSERT_EQ(cache_.length(plain.id), plain.length);
    expect_as_written(plain);
    for (size_t l = 0; l < layers_.size(); ++l) {  // what moved is turned, in pages of its own
      for (int slot = std::max(keep, readable_from(plain, l)); slot < plain.length; ++slot) write(plain, l, slot, random_());
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
    for (Held& held : plain.held) {
      held.tags.resize(static_cast<size_t>(length - held.forgotten));
      held.stands_at.resize(held.tags.size());
    }
    plain.length = length;
    expect_as_written(plain);
  }

  static std::byte* slot_of(const Cache& cache, SequenceId id, int layer, int slot) {
    const size_t bytes = cache.layout(layer).slice_bytes() / kPageTokens;
    return cache.view(id, layer).slice(slot / kPageTokens) + static_cast<size_t>(slot % kPageTokens) * bytes;
  }

  void write(Plain& plain, size_t layer, int slot, uint64_t tag) {
    std::vector<uint64_t>& tags = plain.held[layer].tags;
    if (slot == static_cast<int>(tags.size())) tags.push_back(tag);
    tags[static_cast<size_t>(slot)] = tag;
    std::memcpy(slot_of(cache_, plain.id, layers_[layer].index, slot), &tag, sizeof tag);
  }

  static int held_tokens(const Plain& plain, size_t l) { return plain.length - plain.held[l].forgotten; }

  int readable_from(const Plain& plain, size_t l) const { return first_readable(layers_[l].group->window, held_tokens(plain, l)); }

  void expect_as_written(const Plain& plain) const {
    for (size_t l = 0; l < layers_.size(); ++l) {
      const Held& held = plain.held[l];
      const int end = held_tokens(plain, l);
      ASSERT_EQ(static_cast<int>(held.tags.size()), end);
      for (int slot = readable_from(plain, l); slot < end; ++slot) {
        const auto at = static_cast<size_t>(slot);
        if (cache_.layout(layers_[l].index).turned > 0) {
          const kernels::KvPages pages = cache_.view(plain.id, layers_[l].index);
          ASSERT_EQ(pages.position_of(slot / kPageTokens) + slot % kPageTokens, held.stands_at[at]) << "slot " << slot;
        }
        ASSERT_EQ(std::memcmp(slot_of(cache_, plain.id, layers_[l].index, slot), &held.tags[at], 8), 0)
            << "layer " << layers_[l].index << ", slot " << slot;
      }
    }
  }

  std::vector<GroupSpec> groups_;
  CacheOptions options_;
  Cache cache_;
  std::mt19937_64 random_;
  std::vector<Layer> layers_;
  std::vector<Plain> live_;
  int evictions_ = 0, local_evictions_ = 0, shifts_ = 0, forks_ = 0;
};

const int kOperations = testing_support::operation_count(40'000);
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

// Windows of 70 and 120 tokens forget too; one of 20 does not.
std::vector<GroupSpec> windows_that_forget() {
  return {{.window = 70, .layers = {0, 4}, .layout = kLayout},
          {.window = 20, .layers = {2}, .layout = kLayout},
          {.window = 120, .layers = {5}, .layout = kTurned},
          {.layers = {1, 3}, .layout = kTurned},
          {.layers = {6}, .layout = kLayout}};
}

CacheOptions with_local_budget(EvictionPolicy policy) {
  CacheOptions wanted = options(policy);
  wanted.eviction.local_budget_tokens = 60;
  wanted.eviction.sinks = wanted.eviction.interval_tokens = 16;
  wanted.eviction.recent_tokens = 20;
  wanted.eviction.budget_tokens = 112;
  return wanted;
}

TEST(Forgetting, BehavesLikeArraysThatAreErasedFromWithStreamingWindows) {
  ForgettingOperations(windows_that_forget(), with_local_budget(EvictionPolicy::streaming), 5).run(kOperations);
}

TEST(Forgetting, BehavesLikeArraysThatAreErasedFromWithHeavyHittersOfWindows) {
  ForgettingOperations(windows_that_forget(), with_local_budget(EvictionPolicy::heavy_hitters), 6).run(kOperations);
}

TEST(Forgetting, BehavesLikeArraysThatAreErasedFromWithPersistenceAndOnlyWindows) {
  ForgettingOperations({{.window = 70, .layers = {0, 4}, .layout = kLayout}}, with_local_budget(EvictionPolicy::persistence), 7)
      .run(kOperations);
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
