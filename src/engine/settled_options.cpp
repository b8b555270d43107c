#include "engine/settled_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/memory_info.h"
#include "base/thread_pool.h"
#include "engine/model_state.h"
#include "fovea/error.h"
#include "kv/eviction.h"
#include "model/forward.h"

namespace fovea {

kv::CacheOptions cache_options(const EngineOptions& options) {
  return {.context_tokens = options.context_tokens,
          .chunk_tokens = std::min(options.chunk_tokens, options.context_tokens),
          .sequences = options.sequences,
          .retained_bytes = std::max<int64_t>(0, options.cache_bytes),
          .contiguous = options.static_cache,
          .eviction = options.eviction};
}

void require_turning_keys(const EngineOptions& options, const model::ModelSpec& spec, const char* place) {
  for (const kv::GroupSpec& group : kv_groups(spec, options)) {
    if (group.state_bytes > 0 || !kernels::is_narrow(group.layout.codec.keys)) continue;
    throw Error(fmt::format("keys stored as {} cannot be moved to other positions", name_of(group.layout.codec.keys)), place,
                "store keys as bf16, f16 or f32 (values may be narrow: --kv k=bf16,v=int8), or do without --evict and --shift");
  }
}

namespace {

constexpr int64_t kMostMemory = int64_t{1} << 60;  // where the system does not say what is free

void check_range(std::string_view name, int value, int least, int most) {
  if (value >= least && value <= most) return;
  throw Error(fmt::format("{} is {}", name, value), "engine options", fmt::format("choose {} to {}", least, most));
}

// What the engine may take: what is free, and what its plan counts although it is there already.
int64_t memory_for(const Planner& planner, const EngineOptions& options) {
  PlanOptions running = plan_options(options);
  running.cache_bytes = 0;
  running.grammars = false;
  const Plan plan = planner.plan(running);
  return plan.weights_bytes + plan.vocabulary_bytes + plan.program_bytes + std::min(available_memory_bytes(), kMostMemory);
}

void check_static(EngineOptions& options) {
  if (options.eviction.policy != EvictionPolicy::none || options.sequences != 1) {
    throw Error("a static cache holds one sequence, and all of it", "engine options",
                "choose one sequence and no eviction, or a paged cache");
  }
  options.cache_bytes = 0;
}

void check_codecs(const EngineOptions& options, const model::ModelSpec& spec) {
  for (const kv::GroupSpec& group : kv_groups(spec, options)) {
    const kernels::KvLayout& layout = group.layout;
    if (layout.head_dim <= kernels::kMostNarrowDim) continue;
    for (const KvCodec codec : {layout.codec.keys, layout.codec.values}) {
      if (!kernels::is_narrow(codec)) continue;
      throw Error(fmt::format("keys of {} dimensions cannot be stored as {}", layout.head_dim, name_of(codec)), "K/V codec",
                  "choose bf16, f16 or f32 for these layers");
    }
  }
}

}  // namespace

EngineOptions settled_options(EngineOptions options, const Model& model) {
  const ModelFacts& facts = model.facts();
  if (options.context_tokens == 0) options.context_tokens = std::min(facts.context_tokens, EngineLimits::kUsualContextTokens);
  if (options.threads == 0) options.threads = std::min(usable_processors(), EngineLimits::kMostThreads);
  check_range("context", options.context_tokens, 1, EngineLimits::kMostContextTokens);
  check_range("sequences", options.sequences, 1, EngineLimits::kMostSequences);
  check_range("chunk", options.chunk_tokens, 1, EngineLimits::kMostChunkTokens);
  check_range("newest tokens", options.kv_newest_tokens, EngineOptions::kUsualNewest, EngineLimits::kMostNewestTokens);
  check_range("threads", options.threads, 1, EngineLimits::kMostThreads);
  if (options.cache_bytes < EngineOptions::kAsMuchAgain || options.cache_bytes > EngineLimits::kMostCacheBytes) {
    throw Error(fmt::format("cache_bytes is {}", options.cache_bytes), "engine options",
                fmt::format("choose 0 to {}, or -1 for as much again as the sequences need", EngineLimits::kMostCacheBytes));
  }
  if (options.static_cache) check_static(options);
  options.chunk_tokens = std::min(options.chunk_tokens, std::max(options.context_tokens, options.sequences));
  kv::check(options.eviction, kv_groups(model.state().spec, options));
  const Planner& planner = *model.state().planner;
  options = plan_engine(planner, options, memory_for(planner, options)).options;
  check_codecs(options, model.state().spec);
  if (options.eviction.policy != EvictionPolicy::none) require_turning_keys(options, model.state().spec, "engine options");
  return options;
}

}  // namespace fovea
