// What the cache itself costs in time: saving and restoring a session beside computing it, forking, and making room among
// many boundaries.
//
//   cache_times MODEL TOKENS THREADS
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/model_state.h"
#include "fovea/catalogue.h"
#include "fovea/engine.h"
#include "fovea/error.h"
#include "kv/cache.h"
#include "model/forward.h"

namespace fovea {
namespace {

constexpr int kTurn = 96;  // tokens that a session grows by

std::vector<int32_t> some_tokens(const Model& model, int count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  uint32_t state = 1;
  for (int32_t& token : tokens) {
    state = state * 1664525 + 1013904223;
    token = static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(model.facts().vocabulary));
  }
  return tokens;
}

double seconds_of(const auto& work) {
  const Stopwatch watch;
  work();
  return watch.seconds();
}

std::vector<float> last_logits(Engine& engine, const std::vector<int32_t>& tokens) {
  std::vector<float> logits;
  Request request;
  request.prompt = tokens;
  request.logits_from = static_cast<int>(tokens.size()) - 1;
  request.on_logits = [&](int, std::span<const float> row) { logits.assign(row.begin(), row.end()); };
  engine.generate(std::move(request), {});
  return logits;
}

void sessions(const std::shared_ptr<const Model>& model, const EngineOptions& options, int count) {
  const std::string path = (std::filesystem::temp_directory_path() / ("cache_times-" + std::to_string(getpid()))).string();
  std::vector<int32_t> tokens = some_tokens(*model, count + kTurn);
  const std::vector<int32_t> first(tokens.begin(), tokens.begin() + count);
  Engine engine(model, options);
  const double computing = seconds_of([&] { last_logits(engine, first); });
  const double saving = seconds_of([&] { engine.save_session(path, {first, 0, ""}); });
  const auto size = std::filesystem::file_size(path);
  const std::vector<float> expected = last_logits(engine, tokens);
  const double appending = seconds_of([&] { engine.save_session(path, {tokens, 0, ""}); });
  const auto grown = std::filesystem::file_size(path) - size;
  Engine other(model, options);
  int held = 0;
  const double restoring = seconds_of([&] { held = other.restore_session(path).held_tokens; });
  std::filesystem::remove(path);
  const std::vector<float> restored = last_logits(other, tokens);
  const bool equal =
      expected.size() == restored.size() && std::memcmp(expected.data(), restored.data(), expected.size() * sizeof(float)) == 0;
  std::printf("session of %d tokens: computing %.2f s; saving %.3f s (%.1f MB); appending %d tokens %.3f s (%.2f MB)\n", count, computing,
              saving, static_cast<double>(size) / 1e6, kTurn, appending, static_cast<double>(grown) / 1e6);
  std::printf("restoring %d tokens %.3f s: %.2f %% of computing them; logits after it %s\n", held, restoring, 100 * restoring / computing,
              equal ? "equal those before, bit for bit" : "DIFFER");
}

void forks(const Model& model, const EngineOptions& options, int count) {
  constexpr int kRounds = 200;
  kv::Cache cache(model::kv_groups(model.state().spec, options), {.context_tokens = count, .chunk_tokens = 512, .sequences = 2});
  const kv::SequenceId id = *cache.create();
  while (cache.length(id) < count) {
    const int chunk = std::min(512, count - cache.length(id));
    if (!cache.reserve(id, chunk)) throw Error("no room for its own context", "cache_times", "");
    cache.commit(id, chunk);
  }
  const int64_t before = cache.used_bytes();
  int64_t after = 0;
  std::vector<double> seconds;
  for (int round = 0; round < kRounds; ++round) {
    std::optional<kv::SequenceId> child;
    seconds.push_back(seconds_of([&] { child = cache.fork(id); }));
    after = std::max(after, cache.used_bytes());
    cache.release(*child);
  }
  std::ranges::sort(seconds);
  std::printf("fork of %d tokens: %.1f us (median of %d), %ld bytes of pages\n", count, seconds[kRounds / 2] * 1e6, kRounds,
              static_cast<long>(after - before));
}

// Requests of 48 tokens, each with a boundary at the prompt's end and one at its own, in a cache that is full.
void evictions(int boundaries) {
  constexpr int kTokens = 48, kRounds = 400;
  const kernels::KvLayout layout{KvCodec::f16, 1, 64};
  const std::vector<kv::GroupSpec> groups = {{.window = 512, .layers = {0, 1, 2}, .layout = layout}, {.layers = {3}, .layout = layout}};
  const auto page = static_cast<int64_t>(layout.slice_bytes());
  kv::Cache cache(groups, {.context_tokens = kTokens, .chunk_tokens = kTokens, .retained_bytes = boundaries / 2 * page * 4 * 3});
  const auto ask = [&](int number) {
    std::vector<int32_t> tokens(kTokens, number);
    const kv::SequenceId id = *cache.create();
    kv::Prompt prompt;
    prompt.tokens = std::span(tokens).first(kTokens - 8);
    prompt.most_reused = kTokens - 9;
    cache.begin(id, prompt);
    for (const int count : {kTokens - 8, 8}) {
      if (!cache.reserve(id, count)) throw Error("no room", "cache_times", "");
      cache.commit(id, std::span(tokens).subspan(static_cast<size_t>(cache.length(id)), static_cast<size_t>(count)));
    }
    cache.retire(id);
  };
  int number = 0;
  for (; number < boundaries; ++number) ask(number);
  const int kept = cache.boundaries();
  const double seconds = seconds_of([&] {
    for (int round = 0; round < kRounds; ++round) ask(++number);
  });
  std::printf("a request of %d tokens that drops others among %d boundaries: %.0f us\n", kTokens, kept, seconds * 1e6 / kRounds);
}

int run(char** argv) {
  const auto model = Model::load(resolve_model(argv[1]));
  const int tokens = std::atoi(argv[2]);
  EngineOptions options;
  options.context_tokens = tokens + 2 * kTurn;
  options.threads = std::atoi(argv[3]);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  sessions(model, options, tokens);
  forks(*model, options, tokens);
  for (const int boundaries : {200, 2'000, 16'000}) evictions(boundaries);
  return 0;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "cache_times MODEL TOKENS THREADS\n";
    return 2;
  }
  try {
    return fovea::run(argv);
  } catch (const std::exception& error) {
    std::cerr << "cache_times: " << error.what() << "\n";
    return 1;
  }
}
