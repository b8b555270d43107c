#include "fovea/engine_plan.h"

#include <algorithm>

namespace fovea {
namespace {

constexpr int kUsualStates = 16;  // kept beside those of running requests: one serves one position

int64_t as_much_again(const Plan& running) {
  int64_t bytes = 0;
  for (const PlanGroup& group : running.groups) {
    bytes += group.bytes + group.page_slack_bytes + group.chunk_bytes + group.reserve_bytes;
    if (group.kind == "state") bytes += kUsualStates * (group.bytes / std::max(1, running.sequences));
  }
  return bytes;
}

}  // namespace

PlanOptions plan_options(const EngineOptions& options) {
  PlanOptions plan;
  plan.context_tokens = options.context_tokens;
  plan.sequences = options.sequences;
  plan.chunk_tokens = options.chunk_tokens;
  plan.threads = options.threads;
  plan.kv_local = name_of(options.kv_local);
  plan.kv_global = name_of(options.kv_global);
  plan.kv_newest_tokens = options.kv_newest_tokens;
  plan.eviction = options.eviction;
  plan.cache_bytes = options.cache_bytes;
  plan.grammars = options.grammars;
  return plan;
}

EnginePlan plan_engine(const Planner& planner, EngineOptions options, int64_t memory_bytes) {
  PlanOptions wanted = plan_options(options);
  const bool open = options.cache_bytes == EngineOptions::kAsMuchAgain;
  wanted.cache_bytes = open ? 0 : options.cache_bytes;
  if (options.kv_auto) wanted = planner.best_codecs(wanted, memory_bytes);
  Plan plan = planner.plan(wanted);
  options.context_tokens = wanted.context_tokens = plan.context_tokens;
  options.threads = wanted.threads = plan.threads;
  options.chunk_tokens = wanted.chunk_tokens = std::min(options.chunk_tokens, std::max(options.context_tokens, options.sequences));
  options.kv_auto = false;
  options.kv_local = kv_codecs_from_name(wanted.kv_local);
  options.kv_global = kv_codecs_from_name(wanted.kv_global);
  planner.require_fit(wanted, memory_bytes);
  plan = planner.plan(wanted);
  if (open) wanted.cache_bytes = std::min(as_much_again(plan), std::max<int64_t>(0, (memory_bytes - plan.total_bytes) / 2));
  options.cache_bytes = *wanted.cache_bytes;
  return {options, planner.plan(wanted)};
}

}  // namespace fovea
