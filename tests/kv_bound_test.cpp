// Local layers hold their window and no more, however long the sequence: counted through the engine.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fovea/engine.h"
#include "support/oracle_case.h"
#include "support/temporary_folder.h"

namespace fovea {
namespace {

using namespace testing_support;
using nlohmann::json;

constexpr int kPositions = 20'000;
constexpr int kPrompt = 19'000;  // read in chunks; the rest is written token by token
constexpr int kChunk = 64;
constexpr int kWindow = 100;

// A copy of a tiny model with this window and these kinds of layers.
std::shared_ptr<const Model> load_with(const TemporaryFolder& folder, const std::vector<std::string>& layers) {
  std::ifstream source(kOracle / "gemma3_v5" / "config.json");
  json config = json::parse(source);
  config["sliding_window"] = kWindow;
  config["layer_types"] = layers;
  std::filesystem::copy_file(kOracle / "gemma3_v5" / "model.safetensors", folder / "model.safetensors");
  std::ofstream(folder / "config.json") << config;
  return Model::load(folder.string());
}

EngineOptions long_options() {
  EngineOptions options;
  options.context_tokens = kPositions;
  options.chunk_tokens = kChunk;
  options.threads = 2;
  options.cache_bytes = 0;  // nothing beside what a running sequence may need
  return options;
}

Request long_request(const Model& model) {
  Request request;
  for (int i = 0; i < kPrompt; ++i) request.prompt.push_back(i * 31 % model.facts().vocabulary);
  request.cache.keep = KeepLevel::none;
  request.max_tokens = kPositions - kPrompt + 1;  // the last one is chosen and not computed
  return request;
}

// Pages that `positions` consecutive positions touch at most.
int most_pages(int positions, int page_tokens) { return (positions + 2 * page_tokens - 2) / page_tokens; }

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

const KvGroupStats& group_of(const EngineStats& stats, const std::string& kind) {
  for (const KvGroupStats& group : stats.kv) {
    if (group.kind == kind) return group;
  }
  throw std::runtime_error("no group is " + kind);
}

TEST(KvBound, LocalGroupsHoldTheirWindowOverTwentyThousandPositions) {
  const TemporaryFolder folder;
  const auto model = load_with(folder, {"sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention",
                                        "sliding_attention", "full_attention", "sliding_attention"});
  Engine engine(model, long_options());
  engine.submit(long_request(*model));
  const int64_t reserved = engine.stats().kv_bytes;
  while (!engine.idle()) {
    engine.step();
    const EngineStats stats = engine.stats();
    const KvGroupStats& local = group_of(stats, "local");
    const KvGroupStats& global = group_of(stats, "global");
    ASSERT_EQ(local.window, kWindow);
    ASSERT_EQ(local.layers, 6);
    // Nothing more can be held during the step: there is no more.
    ASSERT_LE(local.capacity_pages, most_pages(kWindow - 1 + kChunk, local.page_tokens));
    ASSERT_LE(local.held_pages, most_pages(kWindow - 1, local.page_tokens)) << "at " << stats.computed_tokens;
    ASSERT_EQ(stats.kv_bytes, reserved);
    if (engine.idle()) break;
    const auto computed = static_cast<int>(stats.computed_tokens);
    ASSERT_EQ(global.held_pages, (computed + global.page_tokens - 1) / global.page_tokens);
    if (computed >= kWindow) {
      ASSERT_GE(local.held_pages, (kWindow - 1) / local.page_tokens);
    }
  }
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.computed_tokens, kPositions);
  EXPECT_EQ(stats.decode_tokens, kPositions - kPrompt);
  for (const KvGroupStats& group : stats.kv) EXPECT_EQ(group.held_pages, 0) << group.kind;
}

TEST(KvBound, MemoryIsFlatWhereAllLayersAreLocal) {
  const TemporaryFolder folder;
  const auto model = load_with(folder, std::vector<std::string>(7, "sliding_attention"));
  Engine engine(model, long_options());
  const RequestId id = engine.submit(long_request(*model));
  while (engine.prompt_tokens_done(id) < 1'000) engine.step();
  [[maybe_unused]] const int64_t early = resident_bytes();
  while (!engine.idle()) engine.step();
  constexpr int64_t kSlack = 1 << 20;  // a tenth of what keys and values of 20,000 positions would take
#ifndef __SANITIZE_ADDRESS__           // which keeps what was freed for a while
  EXPECT_LT(resident_bytes() - early, kSlack);
#endif
  EXPECT_LT(engine.stats().kv_bytes, kSlack);
  int64_t unbounded = 0;
  for (const LayerFacts& layer : model->facts().layers) unbounded += layer.cache_bytes_per_token * kPositions;
  EXPECT_GT(unbounded, 10 * kSlack);
}

}  // namespace
}  // namespace fovea
