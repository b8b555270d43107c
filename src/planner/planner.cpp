#include "planner/planner.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/memory_info.h"
#include "base/read_probe.h"
#include "base/thread_pool.h"
#include "fovea/error.h"
#include "fovea/options.h"
#include "kv/eviction.h"
#include "planner/cache_plan.h"
#include "planner/known_models.h"
#include "planner/model_planner.h"
#include "planner/scratch_plan.h"
#include "planner/table_from_files.h"
#include "planner/weight_plan.h"
#include "planner/what_if.h"

namespace fovea {
namespace planner {
namespace {

constexpr int64_t kProgramBytes = 8 << 20;  // measured (docs/planner.md): resident without a model

void check_range(const char* what, int value, int least, int most) {
  if (value >= least && value <= most) return;
  throw Error(std::string(what) + " is " + std::to_string(value), "plan",
              "choose " + std::to_string(least) + " to " + std::to_string(most));
}

// Sizes that come from files and people may be absurd; from here on bytes are counted without looking out for that.
void require_countable(const LayerTable& table, const PlanOptions& options) {
  constexpr double kMostValues = 0x1p50, kMostBytes = 0x1p60;
  double values = 0, stored = 0;
  bool numbered = true;
  for (const WeightRow& row : table.weights) {
    values += static_cast<double>(std::max<int64_t>(1, row.outputs)) * static_cast<double>(row.inputs) * row.count;
    numbered &= row.outputs <= INT32_MAX && row.inputs <= INT32_MAX;
  }
  for (const LayerRow& row : table.layers) {
    stored += 2.0 * row.kv_heads * row.head_dim + row.latent_values;
    values += static_cast<double>(row.state_values) + static_cast<double>(row.q_heads) * row.head_dim;
  }
  const double kept = stored * static_cast<double>(sizeof(float)) * (options.context_tokens + options.chunk_tokens) * options.sequences;
  if (numbered && values <= kMostValues && kept <= kMostBytes) return;
  throw Error("asks for more memory than can be counted", table.source.empty() ? table.name : table.source,
              "the sizes in the file are damaged, or context and sequences are too many");
}

void check_eviction(const LayerTable& table, const PlanOptions& options) {
  kv::check(options.eviction, cache_groups(table.layers, options));
  const auto is_chunked = [](const LayerRow& row) { return row.kind == LayerKind::chunked; };
  if (options.eviction.policy == EvictionPolicy::none || options.eviction.local_budget_tokens == 0) return;
  if (std::none_of(table.layers.begin(), table.layers.end(), is_chunked)) return;
  throw Error("layers that see chunks forget whole chunks, and what is left of one has no first tokens", "eviction options",
              "do without a local budget");
}

std::vector<PlanLayer> plan_layers(const LayerTable& table, const std::vector<PlanGroup>& groups) {
  std::vector<PlanLayer> layers;
  for (const LayerRow& row : table.layers) {
    PlanLayer layer;
    layer.kind = name_of(row.kind);
    if (row.window > 0) layer.window = row.window;
    if (row.shares_with >= 0) layer.shares_with = row.shares_with;
    layers.push_back(layer);
  }
  for (const PlanGroup& group : groups) {
    if (group.kind == "newest") continue;  // beside what the layer keeps of every token
    const auto members = static_cast<int64_t>(group.layers.size());
    for (const int layer : group.layers) layers[static_cast<size_t>(layer)].bytes_per_token = group.bytes_per_token / members;
  }
  return layers;
}

// Where requests to come are counted, they may have all that running sequences leave.
int64_t retained_bytes(const Plan& plan, const PlanOptions& options) {
  if (!options.cache_bytes) return 0;
  int64_t bytes = *options.cache_bytes - plan.pinned_bytes;
  for (const PlanGroup& group : plan.groups) bytes += group.reserve_bytes;
  return std::max<int64_t>(0, bytes);
}

void add_up(Plan& plan, const PlanOptions& options) {
  int64_t read = 0;
  for (const PlanWeights& part : plan.weights) {
    plan.weights_bytes += part.bytes;
    read += part.read_bytes;
  }
  for (const PlanGroup& group : plan.groups) {
    plan.kv_bytes += group.bytes;
    plan.page_slack_bytes += group.page_slack_bytes;
    plan.chunk_bytes += group.chunk_bytes;
    plan.pinned_bytes += group.pinned_bytes;
    plan.kv_all_global_bytes += group.all_global_bytes;
    read += group.read_bytes;
  }
  plan.read_bytes = read;
  plan.retained_bytes = retained_bytes(plan, options);
  plan.total_bytes =
      plan.weights_bytes + plan.cache_bytes() + plan.retained_bytes + plan.scratch_bytes + plan.vocabulary_bytes + plan.program_bytes;
}

}  // namespace

PlanOptions resolved(PlanOptions options, const LayerTable& table) {
  if (options.context_tokens == 0) options.context_tokens = std::min(std::max(1, table.context_tokens), EngineLimits::kUsualContextTokens);
  if (options.threads == 0) options.threads = std::min(usable_processors(), EngineLimits::kMostThreads);
  check_range("context", options.context_tokens, 1, EngineLimits::kMostContextTokens);
  check_range("sequences", options.sequences, 1, EngineLimits::kMostSequences);
  check_range("chunk", options.chunk_tokens, 1, EngineLimits::kMostChunkTokens);
  check_range("threads", options.threads, 1, EngineLimits::kMostThreads);
  check_range("newest tokens", options.kv_newest_tokens, EngineOptions::kUsualNewest, EngineLimits::kMostNewestTokens);
  check_range("shared prefix", options.shared_prefix_tokens, 0, options.context_tokens);
  if (options.shared_prefix_tokens > 0 && options.eviction.policy != EvictionPolicy::none) {
    throw Error("sequences that forget share no prefix", "plan", "leave out the shared prefix, or eviction");
  }
  if (options.cache_bytes.value_or(0) < 0 || options.cache_bytes.value_or(0) > EngineLimits::kMostCacheBytes) {
    throw Error("cache_bytes is " + std::to_string(*options.cache_bytes), "plan",
                "choose 0 to " + std::to_string(EngineLimits::kMostCacheBytes));
  }
  options.chunk_tokens = std::min(options.chunk_tokens, std::max(options.context_tokens, options.sequences));
  return options;
}

Plan make_plan(const LayerTable& original, const PlanOptions& wanted) {
  LayerTable table = changed(original, wanted.what_if);
  if (!wanted.weights.empty()) choose_formats(table, wanted.weights);
  const PlanOptions options = resolved(wanted, table);
  require_countable(table, options);
  check_eviction(table, options);
  Plan plan;
  plan.model = table.name;
  plan.family = table.family;
  plan.source = table.source;
  plan.context_tokens = options.context_tokens;
  plan.sequences = options.sequences;
  plan.shared_prefix_tokens = options.shared_prefix_tokens;
  plan.chunk_tokens = options.chunk_tokens;
  plan.threads = options.threads;
  plan.weights_format = wanted.weights.empty() ? formats_text(table) : wanted.weights;
  plan.weights = plan_weights(table);
  plan.groups = plan_groups(table.layers, options);
  plan.layers = plan_layers(table, plan.groups);
  plan.scratch_bytes = plan_scratch(table, options);
  const int sorted = options.grammars && table.vocabulary_token_bytes > 0 ? kGrammarTokenBytes : 0;
  plan.vocabulary_bytes = int64_t{table.vocabulary} * (table.vocabulary_token_bytes + sorted);
  plan.program_bytes = kProgramBytes;
  plan.not_computed = table.not_computed;
  add_up(plan, options);
  return plan;
}

}  // namespace planner

Planner::Planner(std::unique_ptr<State> state) : state_(std::move(state)) {}
Planner::~Planner() = default;
Planner::Planner(Planner&&) noexcept = default;
Planner& Planner::operator=(Planner&&) noexcept = default;

Planner Planner::open(const std::string& model, const std::string& quant) {
  std::error_code ignored;
  if (!std::filesystem::exists(model, ignored)) {
    if (auto table = planner::known_table(model)) return Planner(std::make_unique<State>(State{std::move(*table)}));
    std::string names;
    for (const KnownConfiguration& known : known_configurations()) names += (names.empty() ? "" : ", ") + std::string(known.name);
    throw Error("is neither a file or folder nor a configuration that is built in", model, "built in are " + names);
  }
  return Planner(std::make_unique<State>(State{planner::read_table(model, quant)}));
}

Plan Planner::plan(const PlanOptions& options) const { return planner::make_plan(state_->table, options); }

int64_t free_memory_bytes() { return available_memory_bytes(); }

Planner planner::planner_of(const model::ModelSpec& spec, const files::ModelFiles& files) {
  return Planner(std::make_unique<Planner::State>(Planner::State{table_of_files(spec, files)}));
}

double measured_read_bytes_per_s(int threads) { return probe_read_bytes_per_second(threads); }

double estimated_tokens_per_s(const Plan& plan, double read_bytes_per_s) {
  // Measured (docs/planner.md): weights stream at most of the rate of a plain read, keys and values, in
  // pages, at half of it; and a layer costs the time in which threads find each other.
  constexpr double kWeightsShare = 0.95, kKvShare = 0.5, kSecondsPerLayer = 10e-6;
  if (read_bytes_per_s <= 0) return 0;
  int64_t weights = 0;
  for (const PlanWeights& part : plan.weights) weights += part.read_bytes;
  const auto kv = static_cast<double>(plan.read_bytes - weights);
  const double seconds = static_cast<double>(weights) / (kWeightsShare * read_bytes_per_s) + kv / (kKvShare * read_bytes_per_s) +
                         kSecondsPerLayer * static_cast<double>(plan.layers.size());
  return 1 / seconds;
}

}  // namespace fovea
