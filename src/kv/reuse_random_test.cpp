// Random operations on a cache that reuses, against the dumbest oracle there is: what a position holds, and what a
// state is after it, is a function of the tokens up to it. Prompts branch off each other everywhere; the budget is far
// too small for them all; what is there goes into files and comes back; spans are taken out, and sequences forget.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kv/cache.h"
#include "kv/eviction.h"
#include "kv/formula.h"
#include "support/operation_count.h"
#include "support/temporary_folder.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

int64_t test_time_ms = 0;
constexpr SessionModel kModel = {1, "none"};

struct Live {
  SequenceId id{};
  std::vector<int32_t> tokens;  // prompt, and what may follow it
  std::vector<uint64_t> tags;   // per position of `tokens`: of everything up to it
  int kept = 0;                 // windows are being restored up to here
  int from = 0;                 // since here; 0: they are not
  int begun = 0;                // length it began with
  int furthest = 0;             // length it ever had
  bool forgets = false;
  bool own = false;  // it lost something: what it holds is nobody else's
};

class ReuseOperations {
 public:
  ReuseOperations(std::vector<GroupSpec> groups, const CacheOptions& options, unsigned seed)
      : groups_(groups), options_(with_clock(options)), cache_(std::move(groups), options_), random_(seed) {
    for (const GroupSpec& group : groups_) {
      for (const int layer : group.layers) (group.state_bytes > 0 ? states_ : layers_).push_back({layer, &group, 0});
    }
    std::ranges::sort(layers_, {}, &Layer::index);
    int late = 0, later = 0, last = -1;  // of what a layer reads the widest window counts: its newest tokens lie within it
    for (Layer& layer : layers_) {
      if (layer.index != last) late = later;
      last = layer.index;
      layer.exact_after = late;
      if (layer.group->window != kWholePast) later = std::max(later, late + layer.group->window - 1);
    }
  }

  void run(int operations) {
    for (int i = 0; i < operations && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("operation " + std::to_string(i));
      step();
      cache_.check();
      if (i % 64 == 0) {
        for (const Live& live : live_) expect_as_computed(live);
      }
    }
    EXPECT_GT(reused_, operations / 10) << "nothing was reused";
    EXPECT_GT(forks_, 0);
    EXPECT_GT(rollbacks_, 0);
    EXPECT_GT(sessions_, 0);
    EXPECT_EQ(evictions_ > 0, options_.eviction.policy != EvictionPolicy::none);
    std::printf("%d operations: %ld tokens written, %ld reused, %d replays, %d forks, %d rollbacks, %d sessions, %d shifts, %d evictions\n",
                operations, static_cast<long>(written_), static_cast<long>(reused_), replays_, forks_, rollbacks_, sessions_, shifts_,
                evictions_);
  }

 private:
  struct Layer {
    int index;
    const GroupSpec* group;
    int exact_after;  // tokens after a replay begins, K/V of this layer are right
  };

  static CacheOptions with_clock(CacheOptions options) {
    options.clock_ms = [] { return test_time_ms; };
    return options;
  }

  int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }

  void step() {
    test_time_ms += below(3);
    const int choice = below(1000);
    if (live_.empty() || choice < 60) return begin();
    const size_t which = static_cast<size_t>(below(static_cast<int>(live_.size())));
    Live& live = live_[which];
    if (choice < 100) return end(which);
    if (choice < 130) return fork(live);
    if (choice < 180) return roll_back(live);
    if (choice < 182) return cache_.forget();
    if (choice < 186) return save_and_restore(live);
    if (choice < 200) return cache_.mark(live.id, below(options_.context_tokens), BoundaryKind::message);
    if (choice < 210) return shift(live);
    if (cache_.length(live.id) == static_cast<int>(live.tokens.size())) return end(which);
    if (cache_.room_tokens(live.id) == 0) return live.forgets ? evict(live) : end(which);
    write(live);
    expect_as_computed(live);
  }

  // One of a few texts, up to somewhere, with a few other tokens here and there.
  std::vector<int32_t> text() {
    const int length = 2 + below(options_.context_tokens - 1), kind = below(3);
    std::vector<int32_t> tokens(static_cast<size_t>(length));
    for (int i = 0; i < length; ++i) tokens[static_cast<size_t>(i)] = (i * 7 + kind) % 50;
    for (int changes = below(3); changes > 0; --changes) tokens[static_cast<size_t>(below(length))] = 50 + below(3);
    return tokens;
  }

  void begin() {
    const std::optional<SequenceId> id = cache_.create();
    ASSERT_EQ(id.has_value(), live_.size() < static_cast<size_t>(options_.sequences));
    if (!id) return;
    Live live{*id, text(), {}};
    uint64_t tag = 99;
    for (const int32_t token : live.tokens) {
      tag = (tag ^ static_cast<uint64_t>(token + 1)) * 0x9E3779B97F4A7C15u;
      live.tags.push_back(tag ^= tag >> 29);
    }
    const int length = 1 + below(static_cast<int>(live.tokens.size()));
    const std::vector<int> boundaries = {below(length), below(length)};
    Prompt prompt;
    prompt.tokens = std::span(live.tokens).first(static_cast<size_t>(length));
    prompt.most_reused = std::min(below(4) == 0 ? below(length) : length - 1, cache_.room_tokens(live.id));
    prompt.forgets = live.forgets = options_.eviction.policy != EvictionPolicy::none && below(2) == 0;
    prompt.boundaries = boundaries;
    prompt.terms = {static_cast<Keep>(below(3)), below(3) == 0 ? 1 + below(500) : 0};
    const Reuse reuse = cache_.begin(live.id, prompt);
    ASSERT_EQ(cache_.length(live.id), reuse.tokens);
    ASSERT_LE(reuse.tokens, prompt.most_reused);
    ASSERT_EQ(reuse.tokens == prompt.most_reused, reuse.reason == MissReason::none && reuse.replayed == 0);
    reused_ += reuse.tokens;
    live.begun = live.furthest = reuse.tokens;
    if (reuse.replayed > 0) {
      ++replays_;
      live.from = reuse.tokens;
      live.kept = reuse.tokens + reuse.replayed;
    }
    live_.push_back(std::move(live));
    expect_as_computed(live_.back());
  }

  void end(size_t which) {
    below(5) == 0 ? cache_.release(live_[which].id) : cache_.retire(live_[which].id);
    live_.erase(live_.begin() + static_cast<ptrdiff_t>(which));
  }

  void fork(const Live& live) {
    if (cache_.length(live.id) < live.kept) return;
    const auto before = cache_.used_bytes();
    const std::optional<SequenceId> id = cache_.fork(live.id);
    ASSERT_EQ(id.has_value(), live_.size() < static_cast<size_t>(options_.sequences));
    if (!id) return;
    ASSERT_EQ(cache_.used_bytes(), before);
    ++forks_;
    Live copy = live;
    copy.id = *id;
    live_.push_back(std::move(copy));
    expect_as_computed(live_.back());
  }

  void roll_back(Live& live) {
    const int length = cache_.length(live.id);
    if (length < live.kept) return;
    const int back = below(std::min(length, 40) + 1);
    const bool done = cache_.roll_back(live.id, length - back);
    const bool promised = states_.empty() && length - back >= std::max(live.begun, live.furthest - options_.rollback_tokens);
    ASSERT_TRUE(states_.empty() || !done || back == 0);
    ASSERT_TRUE(done || !promised || live.kept > 0);
    rollbacks_ += done;
    ASSERT_EQ(cache_.length(live.id), done ? length - back : length);
    expect_as_computed(live);
  }

  // What stands behind the span is turned: here, written anew, in pages of the sequence's own.
  void shift(Live& live) {
    if (!states_.empty() || live.forgets || cache_.length(live.id) < live.kept) return;
    const int keep = below(3) * kPageTokens, most = cache_.longest_shift(live.id, keep);
    if (most == 0) return;
    const int drop = kPageTokens * (1 + below(most / kPageTokens));
    ASSERT_TRUE(cache_.shift(live.id, keep, drop)) << "running sequences win";
    live.tokens.erase(live.tokens.begin() + keep, live.tokens.begin() + keep + drop);
    live.tags.erase(live.tags.begin() + keep, live.tags.begin() + keep + drop);
    for (size_t i = static_cast<size_t>(keep); i < live.tags.size(); ++i) live.tags[i] = random_();
    const int length = cache_.length(live.id);
    for (const Layer& layer : layers_) {
      for (int position = std::max(keep, first_readable(layer.group->window, length)); position < length; ++position)
        put(live, layer, position, tag(live, layer, position));
    }
    live.kept = live.from = 0;
    live.begun = live.furthest = length;
    live.own = true;
    ++shifts_;
    for (const Live& other : live_) expect_as_computed(other);
  }

  // Sinks that moved are as computed; then turned, by what has been forgotten.
  void evict(Live& live) {
    ASSERT_TRUE(cache_.evict(live.id)) << "running sequences win";
    for (const Layer& layer : layers_) {
      for (int slot = 0; slot < cache_.moved_sinks(live.id, layer.index); ++slot) {
        const uint64_t computed = tag(live, layer, slot), turned = expected(live, layer, slot);
        ASSERT_EQ(std::memcmp(place_of(live, layer, slot), &computed, sizeof computed), 0);
        put(live, layer, slot, turned);
      }
    }
    live.begun = cache_.length(live.id);
    live.own = true;
    ++evictions_;
    for (const Live& other : live_) expect_as_computed(other);
  }

  void write(Live& live) {
    const int length = cache_.length(live.id);
    const int left = static_cast<int>(live.tokens.size()) - length;
    const int room = std::min({options_.chunk_tokens, left, cache_.room_tokens(live.id)});
    int tokens = 1 + below(room);
    if (below(4) > 0) tokens = std::min(tokens, cache_.tokens_to_boundary(live.id));
    ASSERT_TRUE(cache_.reserve(live.id, tokens)) << "running sequences win";
    const int committed = states_.empty() ? 1 + below(tokens) : tokens;  // the others were guesses that did not come true
    for (int position = length; position < length + tokens; ++position) {
      for (const Layer& layer : layers_) write(live, layer, position, position < length + committed);
    }
    for (const Layer& layer : states_) {
      const uint64_t value = tag(live, layer, length + committed - 1);
      std::memcpy(cache_.state(live.id, layer.index), &value, sizeof value);
    }
    cache_.commit(live.id, std::span(live.tokens).subspan(static_cast<size_t>(length), static_cast<size_t>(committed)));
    written_ += committed;
    live.furthest = std::max(live.furthest, length + committed);
  }

  std::byte* place_of(const Live& live, const Layer& layer, int slot) const {
    const size_t bytes = layer.group->layout.slice_bytes() / kPageTokens;
    return view(live, layer).slice(slot / kPageTokens) + static_cast<size_t>(slot % kPageTokens) * bytes;
  }
  void put(const Live& live, const Layer& layer, int slot, uint64_t value) const {
    std::memcpy(place_of(live, layer, slot), &value, sizeof value);
  }
  int forgotten(const Live& live, const Layer& layer) const { return live.forgets ? cache_.forgotten(live.id, layer.index) : 0; }
  kernels::KvPages view(const Live& live, const Layer& layer) const {
    return layer.group->newest ? cache_.newest_view(live.id, layer.index) : cache_.view(live.id, layer.index);
  }

  uint64_t tag(const Live& live, const Layer& layer, int position) const {
    return live.tags[static_cast<size_t>(position)] + static_cast<uint64_t>(layer.index);
  }

  // What the slot holds: of a sequence that streams, sinks, and behind them what was not forgotten.
  uint64_t expected(const Live& live, const Layer& layer, int slot) const {
    const int gone = forgotten(live, layer);
    if (gone == 0) return tag(live, layer, slot);
    const EvictionPages pages = *forgetting(*layer.group, options_.eviction);
    if (slot >= pages.sinks * kPageTokens) return tag(live, layer, slot + gone);
    return tag(live, layer, slot) + (slot < pages.copied_sinks * kPageTokens ? 31u * static_cast<unsigned>(gone) : 0u);
  }

  // Into a file, and back under another salt, where nothing but the file can have left it.
  void save_and_restore(const Live& live) {
    if (live.own) return;
    const std::string path = (folder_ / "session").string();
    const std::span<const int32_t> text = std::span(live.tokens).first(static_cast<size_t>(cache_.length(live.id)));
    cache_.save(path, kModel, "", text, "note");
    if (live_.size() == static_cast<size_t>(options_.sequences)) return;
    const Cache::Restored restored = cache_.restore(path, kModel, "file");
    ASSERT_TRUE(std::ranges::equal(restored.tokens, text));
    ASSERT_EQ(restored.note, "note");
    Live back = {*cache_.create(), live.tokens, live.tags};
    Prompt prompt;
    prompt.tokens = text;
    prompt.salt = "file";
    prompt.most_reused = restored.held;
    prompt.terms.keep = Keep::none;
    ASSERT_EQ(cache_.begin(back.id, prompt).tokens, restored.held);
    expect_as_computed(back);
    cache_.release(back.id);
    ++sessions_;
  }

  void write(const Live& live, const Layer& layer, int position, bool true_token) const {
    const int slot = position - forgotten(live, layer);
    if (slot < view(live, layer).first_writable) return;
    const bool wrong = position < live.kept && position < live.from + layer.exact_after;
    put(live, layer, slot, wrong || !true_token ? 0xBADBADBAD : tag(live, layer, position));
  }

  void expect_as_computed(const Live& live) const {
    const int length = cache_.length(live.id);
    if (length < live.kept) return;  // not yet restored
    for (const Layer& layer : layers_) {
      const int end = length - forgotten(live, layer);
      for (int slot = first_readable(layer.group->window, end); slot < end; ++slot) {
        const uint64_t value = expected(live, layer, slot);
        ASSERT_EQ(std::memcmp(place_of(live, layer, slot), &value, sizeof value), 0)
            << "layer " << layer.index << ", slot " << slot << " of " << end;
      }
    }
    for (const Layer& layer : states_) {
      if (length == 0) continue;
      const uint64_t value = tag(live, layer, length - 1);
      ASSERT_EQ(std::memcmp(cache_.state(live.id, layer.index), &value, sizeof value), 0)
          << "state of layer " << layer.index << " after " << length;
    }
  }

  std::vector<GroupSpec> groups_;
  CacheOptions options_;
  Cache cache_;
  std::mt19937_64 random_;
  std::vector<Layer> layers_, states_;
  std::vector<Live> live_;
  testing_support::TemporaryFolder folder_;
  int64_t reused_ = 0, written_ = 0;
  int forks_ = 0, rollbacks_ = 0, replays_ = 0, sessions_ = 0, shifts_ = 0, evictions_ = 0;
};

const int kOperations = testing_support::operation_count(20'000);
const kernels::KvLayout kEven{KvCodec::f16, 1, 4};
const kernels::KvLayout kOdd{KvCodec::f32, 1, 3};

TEST(ReusingCache, GivesWhatWasComputedWithLocalAndGlobalLayers) {
  ReuseOperations({{.window = 20, .layers = {0, 1, 3}, .layout = kOdd}, {.layers = {2, 5}, .layout = kEven}},
                  {.context_tokens = 200, .chunk_tokens = 33, .sequences = 4, .retained_bytes = 40'000, .rollback_tokens = 5}, 1)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithTwoWindowsAndGlobalLayers) {
  ReuseOperations(
      {{.window = 3, .layers = {0}, .layout = kEven}, {.window = 17, .layers = {1, 2}, .layout = kOdd}, {.layers = {3}, .layout = kEven}},
      {.context_tokens = 300, .chunk_tokens = 50, .sequences = 3, .retained_bytes = 25'000}, 2)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithGlobalLayersOnly) {
  ReuseOperations({{.layers = {0, 1}, .layout = kEven}, {.layers = {2}, .layout = kOdd}},
                  {.context_tokens = 120, .chunk_tokens = 40, .sequences = 5, .retained_bytes = 15'000}, 3)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithLocalLayersOnly) {
  ReuseOperations({{.window = 16, .layers = {0}, .layout = kOdd}, {.window = 40, .layers = {1}, .layout = kEven}},
                  {.context_tokens = 250, .chunk_tokens = 64, .sequences = 4, .retained_bytes = 30'000}, 4)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithNoRoomBesideTheSequences) {
  ReuseOperations({{.window = 8, .layers = {0, 2}, .layout = kEven}, {.layers = {1}, .layout = kEven}},
                  {.context_tokens = 90, .chunk_tokens = 90, .sequences = 2, .rollback_tokens = 16}, 5)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithChunkedLayersAndRowsThatHoldTheirValues) {
  ReuseOperations({{.window = 64, .layers = {0, 1, 2}, .layout = kEven},
                   {.layers = {3}, .layout = {KvCodec::f16, 1, 6, 4}},
                   {.layers = {4}, .layout = {KvCodec::f32, 2, 4, 4}}},
                  {.context_tokens = 260, .chunk_tokens = 48, .sequences = 4, .retained_bytes = 60'000}, 6)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithStatesOnly) {
  ReuseOperations({{.layers = {0, 1, 2}, .state_bytes = 200}},
                  {.context_tokens = 300, .chunk_tokens = 40, .sequences = 4, .retained_bytes = 12'000}, 7)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithStatesBesideGlobalLayers) {
  ReuseOperations({{.layers = {0, 2}, .state_bytes = 1'000}, {.layers = {1, 3}, .layout = kEven}, {.layers = {4}, .state_bytes = 64}},
                  {.context_tokens = 300, .chunk_tokens = 40, .sequences = 3, .retained_bytes = 40'000}, 8)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithTheNewestTokensOfLayersApart) {
  ReuseOperations({{.window = 30, .layers = {0, 2}, .layout = kOdd},
                   {.layers = {1, 3}, .layout = kEven},
                   {.window = 16, .layers = {0, 2}, .layout = kEven, .newest = true},
                   {.window = 16, .layers = {1, 3}, .layout = kOdd, .newest = true}},
                  {.context_tokens = 260, .chunk_tokens = 48, .sequences = 4, .retained_bytes = 30'000, .rollback_tokens = 3}, 10)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithTheNewestTokensOfGlobalLayersAlone) {
  ReuseOperations({{.layers = {0, 1, 2}, .layout = kEven}, {.window = 5, .layers = {0, 1, 2}, .layout = kOdd, .newest = true}},
                  {.context_tokens = 200, .chunk_tokens = 30, .sequences = 3, .retained_bytes = 15'000}, 11)
      .run(kOperations);
}

CacheOptions streaming(int local_budget_tokens) {
  return {.context_tokens = 400,
          .chunk_tokens = 40,
          .sequences = 4,
          .retained_bytes = 30'000,
          .rollback_tokens = 4,
          .eviction = {.policy = EvictionPolicy::streaming,
                       .budget_tokens = 112,
                       .local_budget_tokens = local_budget_tokens,
                       .sinks = 16,
                       .interval_tokens = 16}};
}

TEST(ReusingCache, GivesWhatWasComputedBesideSequencesThatForget) {
  ReuseOperations({{.window = 20, .layers = {0, 1}, .layout = kOdd},
                   {.layers = {2, 5}, .layout = kEven},
                   {.layers = {3}, .layout = {KvCodec::f16, 1, 8, 8, 4}}},  // turned as it is read; layer 4 reads another's
                  streaming(0), 12)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedBesideSequencesWhoseWindowsForget) {
  ReuseOperations({{.window = 90, .layers = {0, 1}, .layout = kOdd},
                   {.window = 30, .layers = {2}, .layout = kEven},
                   {.layers = {3, 5}, .layout = kEven}},
                  streaming(64), 13)
      .run(kOperations);
}

TEST(ReusingCache, GivesWhatWasComputedWithEverythingAtOnce) {
  ReuseOperations({{.window = 7, .layers = {0}, .layout = kOdd},
                   {.window = 40, .layers = {1, 5}, .layout = kEven},
                   {.layers = {2}, .layout = {KvCodec::f16, 1, 6, 6, 2}},
                   {.layers = {3}, .layout = kOdd},
                   {.layers = {4}, .state_bytes = 300},
                   {.window = 12, .layers = {3}, .layout = kEven, .newest = true}},
                  {.context_tokens = 250, .chunk_tokens = 60, .sequences = 4, .retained_bytes = 50'000}, 9)
      .run(kOperations);
}

}  // namespace
}  // namespace fovea::kv
