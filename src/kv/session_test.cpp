// Sessions survive: restored as they were saved, whole whenever the writer is killed, refused when a byte is
// wrong.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "fovea/error.h"
#include "kv/cache.h"
#include "kv/session_record.h"
#include "support/temporary_folder.h"

namespace fovea::kv {
namespace {

using testing_support::TemporaryFolder;

constexpr SessionModel kModel = {7, "a model"}, kOtherModel = {8, "another"};
constexpr int kContext = 2'000;
const kernels::KvLayout kSmall{KvCodec::f16, 1, 4};

std::vector<GroupSpec> groups(KvCodec codec = KvCodec::f16) {
  return {{.window = 40, .layers = {0, 1, 3}, .layout = kSmall}, {.layers = {2, 5}, .layout = {codec, 2, 8}}};
}

Cache make_cache(KvCodec codec = KvCodec::f16) {
  return Cache(groups(codec), {.context_tokens = kContext, .chunk_tokens = 64, .retained_bytes = 1 << 20});
}

std::vector<int32_t> text(int count) {
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(i * 31 % 97);
  return tokens;
}

// Computes what is missing of these tokens, each slot filled with a function of layer and position.
void compute(Cache& cache, const std::vector<int32_t>& tokens) {
  const SequenceId id = *cache.create();
  Prompt prompt;
  prompt.tokens = tokens;
  prompt.most_reused = static_cast<int>(tokens.size()) - 1;
  cache.begin(id, prompt);
  while (cache.length(id) < static_cast<int>(tokens.size())) {
    const int length = cache.length(id), count = std::min(64, static_cast<int>(tokens.size()) - length);
    if (!cache.reserve(id, count)) throw std::logic_error("no room");
    for (const int layer : {0, 1, 2, 3, 5}) {
      for (int position = length; position < length + count; ++position) {
        const size_t bytes = cache.layout(layer).slice_bytes() / kernels::kPageTokens;
        std::byte* page = cache.view(id, layer).slice(position / kernels::kPageTokens);
        const int32_t value = position * 8 + layer;
        std::memcpy(page + static_cast<size_t>(position % kernels::kPageTokens) * bytes, &value, sizeof value);
      }
    }
    cache.commit(id, std::span(tokens).subspan(static_cast<size_t>(length), static_cast<size_t>(count)));
  }
  cache.retire(id);
}

// Everything up to the last token is there, and as computed.
void expect_there(Cache& cache, const std::vector<int32_t>& tokens) {
  const SequenceId id = *cache.create();
  Prompt prompt;
  prompt.tokens = tokens;
  prompt.most_reused = static_cast<int>(tokens.size());
  const int length = cache.begin(id, prompt).tokens;
  ASSERT_EQ(length, static_cast<int>(tokens.size()));
  for (const int layer : {0, 1, 2, 3, 5}) {
    const bool local = layer != 2 && layer != 5;
    for (int position = local ? std::max(0, length - 39) : 0; position < length; ++position) {
      const size_t bytes = cache.layout(layer).slice_bytes() / kernels::kPageTokens;
      const std::byte* page = cache.view(id, layer).slice(position / kernels::kPageTokens);
      const int32_t value = position * 8 + layer;
      ASSERT_EQ(std::memcmp(page + static_cast<size_t>(position % kernels::kPageTokens) * bytes, &value, sizeof value), 0)
          << "layer " << layer << ", position " << position;
    }
  }
  cache.release(id);
  cache.check();
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void overwrite(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes; }

TEST(Session, ComesBackAsItWasSavedThroughManyTurns) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string();
  Cache cache = make_cache();
  size_t before = 0;
  for (const int count : {100, 133, 134, 160, 700, 701}) {
    compute(cache, text(count));
    cache.save(path, kModel, "", text(count), "note " + std::to_string(count));
    Cache other = make_cache();
    const Cache::Restored restored = other.restore(path, kModel, "");
    EXPECT_EQ(restored.tokens, text(count));
    EXPECT_EQ(restored.held, count);
    EXPECT_EQ(restored.note, "note " + std::to_string(count));
    expect_there(other, text(count));
    const size_t size = contents(path).size();
    if (count == 134 || count == 701) {
      EXPECT_LT(size - before, size / 3) << "one more token is no reason to write everything";
    }
    before = size;
  }
}

TEST(Session, AnotherTextOfTheSameNameReplacesIt) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string();
  Cache cache = make_cache();
  compute(cache, text(300));
  cache.save(path, kModel, "", text(300), "");
  std::vector<int32_t> other = text(200);
  other.front() = 98;
  compute(cache, other);
  cache.save(path, kModel, "", other, "");
  Cache fresh = make_cache();
  EXPECT_EQ(fresh.restore(path, kModel, "").tokens, other);
  expect_there(fresh, other);
}

template <typename Action> std::string refusal(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Session, OfAnotherModelCodecOrFormatIsRefusedWithTheReason) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string();
  Cache cache = make_cache();
  compute(cache, text(100));
  cache.save(path, kModel, "", text(100), "");
  EXPECT_NE(refusal([&] { cache.restore(path, kOtherModel, ""); }).find("another model"), std::string::npos);
  Cache wide = make_cache(KvCodec::f32);
  EXPECT_NE(refusal([&] { wide.restore(path, kModel, ""); }).find("codecs"), std::string::npos);
  EXPECT_NE(refusal([&] { wide.save(path, kModel, "", text(100), ""); }).find("codecs"), std::string::npos);
  std::string bytes = contents(path);
  bytes[8] = 1;
  overwrite(path, bytes);
  EXPECT_NE(refusal([&] { cache.restore(path, kModel, ""); }).find("format 1"), std::string::npos);
  overwrite(path, "something else");
  EXPECT_NE(refusal([&] { cache.restore(path, kModel, ""); }).find("no session"), std::string::npos);
  Cache small(groups(), {.context_tokens = 99, .chunk_tokens = 64});
  compute(cache, text(100));
  std::filesystem::remove(path);
  cache.save(path, kModel, "", text(100), "");
  EXPECT_NE(refusal([&] { small.restore(path, kModel, ""); }).find("context"), std::string::npos);
}

TEST(Session, OfOtherNewestTokensIsRefused) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string();
  const auto cache_with = [](int newest) {
    const std::vector<GroupSpec> narrow = {{.layers = {0, 1, 2, 3, 5}, .layout = {KvCodec::tq4, 2, 64}}};
    return Cache(with_newest(narrow, newest), {.context_tokens = kContext, .chunk_tokens = 64, .retained_bytes = 1 << 20});
  };
  Cache cache = cache_with(16);
  compute(cache, text(100));
  cache.save(path, kModel, "", text(100), "");
  for (const int other : {0, 15, 17}) {
    Cache unlike = cache_with(other);
    EXPECT_NE(refusal([&] { unlike.restore(path, kModel, ""); }).find("codecs"), std::string::npos) << other;
  }
  EXPECT_EQ(cache_with(16).restore(path, kModel, "").held, 100);
}

TEST(Session, DamagedFilesAreRefused) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string();
  Cache cache = make_cache();
  compute(cache, text(333));
  cache.save(path, kModel, "", text(333), "a note");
  const std::string whole = contents(path);
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) {
    std::string damaged = whole;
    switch (i % 4) {
      case 0:
      case 1:
        damaged[random() % damaged.size()] ^= static_cast<char>(1u << random() % 8);
        break;
      case 2:
        damaged.resize(random() % damaged.size());
        break;
      case 3: {
        const size_t begin = random() % damaged.size();
        for (size_t at = begin; at < std::min(begin + 64, damaged.size()); ++at) damaged[at] = static_cast<char>(random());
      }
    }
    if (damaged == whole) continue;
    overwrite(path, damaged);
    Cache other = make_cache();
    EXPECT_NE(refusal([&] { other.restore(path, kModel, ""); }), "") << "file " << i;
    other.check();
    EXPECT_EQ(other.used_bytes(), 0);
  }
}

// How many tokens the writer has saved for certain, told across processes.
class Confirmed {
 public:
  Confirmed() : shared_(mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    tokens() = 0;
  }
  ~Confirmed() { munmap(shared_, sizeof(std::atomic<int>)); }
  std::atomic<int>& tokens() const { return *static_cast<std::atomic<int>*>(shared_); }

 private:
  void* shared_;
};

// Saves longer and longer states of the same text until it is killed.
[[noreturn]] void save_on_and_on(const std::string& path, const Confirmed& confirmed) {
  constexpr int kFirst = 50, kStep = 7, kLast = 900;
  Cache cache = make_cache();
  int count = kFirst;
  if (std::filesystem::exists(path)) count = cache.restore(path, kModel, "").held;
  for (count += kStep; count < kLast; count += kStep) {
    compute(cache, text(count));
    cache.save(path, kModel, "", text(count), std::to_string(count));
    confirmed.tokens() = count;
  }
  _exit(0);
}

// FOVEA_SESSION_KILLS: how many, for the long form.
TEST(Session, AProcessKilledWhileSavingLeavesTheLastWholeStateAndEverythingElse) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string(), bystander = (folder / "other").string();
  const char* wanted = std::getenv("FOVEA_SESSION_KILLS");
  const int kills = wanted ? std::atoi(wanted) : 40;
  Cache other = make_cache();
  compute(other, text(200));
  other.save(bystander, kModel, "", text(200), "");
  const std::string before = contents(bystander);
  const Confirmed confirmed;
  std::mt19937 random(2);
  int restored_states = 0, lengthened = 0, longest = 0;
  for (int kill_number = 0; kill_number < kills; ++kill_number) {
    if (kill_number % 20 == 0) {
      std::filesystem::remove(path);
      confirmed.tokens() = longest = 0;
    }
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) save_on_and_on(path, confirmed);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) != 0) << "the writer failed by itself";
    if (!std::filesystem::exists(path)) {
      ASSERT_EQ(confirmed.tokens(), 0) << "what was saved is gone";
      continue;  // killed before the first state was in its place
    }
    Cache cache = make_cache();
    const Cache::Restored restored = cache.restore(path, kModel, "");
    EXPECT_EQ(restored.tokens, text(restored.held));
    EXPECT_EQ(restored.note, std::to_string(restored.held));
    EXPECT_GE(restored.held, confirmed.tokens()) << "a state that was saved is not the last one";
    expect_there(cache, restored.tokens);
    ++restored_states;
    lengthened += restored.held > longest;
    longest = restored.held;
  }
  EXPECT_EQ(contents(bystander), before);
  for (const auto& entry : std::filesystem::directory_iterator(folder.string())) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name == "chat" || name == "other" || name == "chat.part") << name;
  }
  EXPECT_GT(restored_states, kills / 2);
  EXPECT_GT(lengthened, 0);
  std::printf("%d kills: %d files restored, %d of them longer than before\n", kills, restored_states, lengthened);
}

TEST(Session, OfLayersWithAStateComesBackWithIt) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string();
  std::vector<GroupSpec> with_states = groups();
  with_states.push_back({.layers = {4}, .state_bytes = 256});
  const CacheOptions options = {.context_tokens = kContext, .chunk_tokens = 64, .retained_bytes = 1 << 20};
  const std::vector<int32_t> tokens = text(100);
  for (const int length : {60, 100}) {  // the second is appended
    Cache cache(with_states, options);
    if (std::filesystem::exists(path)) cache.restore(path, kModel, "");
    const SequenceId id = *cache.create();
    Prompt prompt;
    prompt.tokens = std::span(tokens).first(static_cast<size_t>(length));
    prompt.most_reused = length - 1;
    EXPECT_EQ(cache.begin(id, prompt).tokens, length == 60 ? 0 : 60);
    while (cache.length(id) < length) {
      const int count = std::min({length - cache.length(id), 64, cache.tokens_to_boundary(id)});
      ASSERT_TRUE(cache.reserve(id, count));
      cache.state(id, 4)[5] += static_cast<float>(count);
      cache.commit(id, prompt.tokens.subspan(static_cast<size_t>(cache.length(id)), static_cast<size_t>(count)));
    }
    cache.retire(id);
    cache.save(path, kModel, "", prompt.tokens, "");
    Cache fresh(with_states, options);
    EXPECT_EQ(fresh.restore(path, kModel, "").held, length);
    const SequenceId again = *fresh.create();
    prompt.most_reused = length;
    EXPECT_EQ(fresh.begin(again, prompt).tokens, length);
    EXPECT_EQ(fresh.state(again, 4)[5], static_cast<float>(length));
    fresh.check();
  }
}

// Keys that were stored with copies of what rope turns say nothing to an engine that turns them as it reads.
TEST(Session, OfAnotherFormOfKeysIsRefused) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string();
  const auto one_stream = [](kernels::KvLayout layout) { return std::vector<GroupSpec>{{.layers = {0, 1, 2, 3, 5}, .layout = layout}}; };
  const std::vector<GroupSpec> turned = one_stream({KvCodec::bf16, 1, 16, 16, 4}), copied = one_stream({KvCodec::bf16, 1, 20, 16});
  const CacheOptions options = {.context_tokens = 100, .chunk_tokens = 100, .retained_bytes = 1 << 20};
  Cache cache(copied, options), other(turned, options);
  compute(cache, text(50));
  cache.save(path, kModel, "", text(50), "");
  EXPECT_NE(session_key(1, turned), session_key(1, copied));
  EXPECT_NE(session_key(1, turned), session_key(1, one_stream({KvCodec::bf16, 1, 16, 16})));
  EXPECT_EQ(SessionReader(path).groups()[0].layout.turned, 0);
  EXPECT_THROW(other.restore(path, kModel, ""), Error);
}

TEST(Session, WhatWasForgottenDoesNotTakeThePlaceOfWhatIsThere) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string();
  Cache cache = make_cache();
  compute(cache, text(50));
  const int held = cache.save(path, kModel, "", text(50), "", 1);
  EXPECT_GT(held, 0);
  cache.forget();
  EXPECT_LT(cache.save(path, kModel, "", text(50), "", held), held);
  EXPECT_EQ(SessionReader(path).state().held, held);
}

TEST(Session, OfGroupsThatCannotBeIsRefused) {
  const auto is_read = [](const GroupSpec& group) {
    const std::string bytes = form_bytes("a model", {&group, 1});
    std::string name;
    std::vector<GroupSpec> groups;
    return read_form(std::as_bytes(std::span(bytes)), name, groups);
  };
  EXPECT_TRUE(is_read({.layers = {0}, .layout = {KvCodec::bf16, 1, 16, 16, 4}}));
  EXPECT_FALSE(is_read({.layers = {0}, .layout = {KvCodec::bf16, 1, 16, 16, 3}})) << "half a pair is turned";
  EXPECT_FALSE(is_read({.layers = {0}, .layout = {KvCodec::bf16, 1, 16, 0, 4}})) << "turned keys hold their values";
  EXPECT_FALSE(is_read({.layers = {0}, .layout = {KvCodec::bf16, 1, 16}, .newest = true})) << "the newest of everything";
}

TEST(Session, TellsWhatItHoldsWithoutTheModelEvenWhenDamaged) {
  const TemporaryFolder folder;
  const std::string path = (folder / "chat").string();
  Cache cache = make_cache();
  compute(cache, text(100));
  cache.save(path, kModel, "", text(100), "first");
  const int64_t first = static_cast<int64_t>(contents(path).size());
  compute(cache, text(300));
  cache.save(path, kModel, "", text(300), "second");
  {
    const SessionReader whole(path);
    EXPECT_EQ(whole.model_name(), kModel.name);
    EXPECT_EQ(whole.key(), session_key(kModel.fingerprint, groups()));
    ASSERT_EQ(whole.groups().size(), 2u);
    EXPECT_EQ(whole.groups()[0].window, 40);
    EXPECT_EQ(whole.groups()[1].layers, (std::vector{2, 5}));
    EXPECT_EQ(whole.state().tokens.size(), 300u);
    EXPECT_EQ(whole.counts().states, 2);
    EXPECT_EQ(whole.damage(), "");
  }
  std::string bytes = contents(path);
  bytes[bytes.size() - 3] ^= 1;
  overwrite(path, bytes);
  const SessionReader damaged(path, Damage::told);
  EXPECT_NE(damaged.damage(), "");
  EXPECT_EQ(damaged.state().note, "first");
  EXPECT_EQ(damaged.valid_bytes(), first);
  EXPECT_THROW(SessionReader{path}, Error);
}

}  // namespace
}  // namespace fovea::kv
