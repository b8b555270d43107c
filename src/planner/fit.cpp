// What fits, and what to change when it does not.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>

#include "fovea/error.h"
#include "fovea/options.h"
#include "planner/kv_codec.h"
#include "planner/planner.h"

namespace fovea {
namespace {

constexpr int kContextStep = 16;  // contexts are whole pages
constexpr int kSmallChunk = 64;

// The largest n in [1, most] that holds; 0 when none does. REQUIRES that what holds for n holds for less.
int largest(int most, const std::function<bool(int)>& holds) {
  if (!holds(1)) return 0;
  int good = 1, bad = most + 1;
  while (bad - good > 1) {
    const int middle = good + (bad - good) / 2;
    (holds(middle) ? good : bad) = middle;
  }
  return good;
}

// Looks for single changes, one kind after the other.
class ChangeSearch {
 public:
  ChangeSearch(const Planner& planner, const PlanOptions& options, int64_t memory_bytes)
      : planner_(planner), options_(options), memory_bytes_(memory_bytes), now_(planner.plan(options)) {}

  std::vector<PlanChange> search() {
    if (now_.total_bytes <= memory_bytes_) return {};
    add_cache();
    add_codecs();
    add_sequences();
    add_context();
    add_eviction();
    add_weights();
    return std::move(changes_);
  }

 private:
  void add(std::string setting, std::string cost, const PlanOptions& options, bool runs = true) {
    const Plan plan = planner_.plan(options);
    if (plan.total_bytes > memory_bytes_) return;
    changes_.push_back({std::move(setting), std::move(cost), options, plan.total_bytes, runs && plan.not_computed.empty()});
  }

  // Less for requests to come.
  void add_cache() {
    constexpr int64_t kMiB = 1 << 20;
    PlanOptions options = options_;
    if (options.cache_bytes.value_or(0) == 0) return;
    options.cache_bytes = 0;
    const int64_t left = memory_bytes_ - planner_.plan(options).total_bytes;
    if (left < 0) return;
    options.cache_bytes = std::min(*options_.cache_bytes, left) / kMiB * kMiB;
    add(fmt::format("--cache {}MiB", *options.cache_bytes / kMiB), "none in quality: fewer prompts find what they share", options);
  }

  // The codec that changes least.
  void add_codecs() {
    const KvCodecs local = kv_codecs_from_name(options_.kv_local), global = kv_codecs_from_name(options_.kv_global);
    const size_t before = changes_.size();
    for (const KvCodec narrower : {KvCodec::f16, KvCodec::int8, KvCodec::tq4, KvCodec::tq3}) {  // each the best of its size
      const KvCodecFacts& codec = planner::facts_of(narrower);
      if (!planner::is_smaller(codec.codec, global) || changes_.size() > before) continue;
      if (!planner::can_store(codec.codec, options_)) continue;
      PlanOptions options = options_;
      options.kv_global = codec.name;
      add(fmt::format("--kv-global {}", codec.name), std::string(codec.cost), options);
      if (changes_.size() > before || !planner::is_smaller(codec.codec, local)) continue;
      options.kv_local = codec.name;
      add(fmt::format("--kv-local {} --kv-global {}", codec.name, codec.name), std::string(codec.cost), options);
    }
  }

  void add_sequences() {
    const int sequences = planner_.most_sequences(options_, memory_bytes_);
    if (sequences < 1 || sequences >= now_.sequences) return;
    PlanOptions options = options_;
    options.sequences = sequences;
    add(fmt::format("--sequences {}", sequences), "none in quality: fewer at a time, the others wait", options);
  }

  void add_context() {
    PlanOptions options = options_;
    options.shared_prefix_tokens = 0;
    const int context = planner_.longest_context(options, memory_bytes_);
    if (context >= 1) {
      options.context_tokens = context;
      add(fmt::format("-c {}", context), "what lies further back is not seen", options);
    }
    options.chunk_tokens = std::min(kSmallChunk, now_.chunk_tokens);
    const int longer = planner_.longest_context(options, memory_bytes_);
    if (longer <= context || now_.chunk_tokens <= kSmallChunk) return;
    options.context_tokens = std::min(longer, now_.context_tokens);
    add(fmt::format("-c {} --chunk {}", options.context_tokens, options.chunk_tokens), "prompts are read more slowly", options);
  }

  // The largest budget that fits.
  void add_eviction() {
    if (options_.eviction.policy != EvictionPolicy::none) return;
    const size_t before = changes_.size();
    for (int budget = 32768; budget >= 1024 && changes_.size() == before; budget /= 2) {
      PlanOptions options = options_;
      options.eviction.policy = EvictionPolicy::streaming;
      options.eviction.budget_tokens = budget;
      if (budget < now_.context_tokens)
        add(fmt::format("--evict streaming --kv-budget {}", budget),
            "approximate: layers that see everything see only the first and the newest tokens", options);
    }
  }

  void add_weights() {
    for (const std::string_view format : kPlanWeights) {
      PlanOptions options = options_;
      options.weights = std::string(format);
      const size_t before = changes_.size();
      if (planner_.plan(options).weights_bytes >= now_.weights_bytes) continue;
      add(fmt::format("--weights {}", format), "not measured for this model; needs a file in this format", options, false);
      if (changes_.size() > before) return;
    }
  }

  const Planner& planner_;
  const PlanOptions& options_;
  int64_t memory_bytes_;
  Plan now_;
  std::vector<PlanChange> changes_;
};

std::string biggest_part(const Plan& plan) {
  const std::string weights = "weights " + memory_text(plan.weights_bytes);
  if (plan.retained_bytes > std::max(plan.weights_bytes, plan.cache_bytes())) {
    return "keys and values for requests to come, " + memory_text(plan.retained_bytes);
  }
  if (plan.weights_bytes >= plan.cache_bytes()) return weights;
  const auto bytes = [](const PlanGroup& g) { return g.bytes + g.page_slack_bytes + g.chunk_bytes; };
  const auto biggest =
      std::max_element(plan.groups.begin(), plan.groups.end(), [&](const auto& a, const auto& b) { return bytes(a) < bytes(b); });
  return fmt::format("keys and values of {} {} layers, {}", biggest->layers.size(), biggest->kind, memory_text(bytes(*biggest)));
}

}  // namespace

PlanOptions Planner::best_codecs(const PlanOptions& options, int64_t memory_bytes) const {
  PlanOptions tried = options;
  for (const auto& [local, global] : planner::kCodecLadder) {
    if (!planner::can_store(local, options) || !planner::can_store(global, options)) break;
    tried.kv_local = name_of(local);
    tried.kv_global = name_of(global);
    if (plan(tried).total_bytes <= memory_bytes) break;
  }
  return tried;
}

int Planner::longest_context(const PlanOptions& options, int64_t memory_bytes) const {
  const auto fits = [&](int context) {
    PlanOptions tried = options;
    tried.context_tokens = context;
    tried.shared_prefix_tokens = std::min(options.shared_prefix_tokens, context);
    return plan(tried).total_bytes <= memory_bytes;
  };
  const int pages = largest(EngineLimits::kMostContextTokens / kContextStep, [&](int n) { return fits(n * kContextStep); });
  return pages * kContextStep;
}

int Planner::most_sequences(const PlanOptions& options, int64_t memory_bytes) const {
  return largest(EngineLimits::kMostSequences, [&](int sequences) {
    PlanOptions tried = options;
    tried.sequences = sequences;
    return plan(tried).total_bytes <= memory_bytes;
  });
}

std::vector<PlanChange> Planner::changes_that_fit(const PlanOptions& options, int64_t memory_bytes) const {
  return ChangeSearch(*this, options, memory_bytes).search();
}

void Planner::require_fit(const PlanOptions& options, int64_t memory_bytes) const {
  const Plan wanted = plan(options);
  if (wanted.total_bytes <= memory_bytes) return;
  // What is offered shall still fit when it is tried, although others have taken a little meanwhile.
  std::vector<PlanChange> changes = changes_that_fit(options, memory_bytes - memory_bytes / 32);
  std::erase_if(changes, [](const PlanChange& change) { return !change.runs; });
  std::string mend;
  for (size_t i = 0; i < std::min<size_t>(2, changes.size()); ++i) {
    mend += fmt::format("{}{} ({})", mend.empty() ? "" : ", or ", changes[i].setting, memory_text(changes[i].total_bytes));
  }
  throw Error(
      fmt::format("needs {} for {} x {} tokens and {} are free: weights {}, keys and values {}, "
                  "scratch {}, the rest {}; "
                  "the biggest part: {}",
                  memory_text(wanted.total_bytes), wanted.sequences, wanted.context_tokens, memory_text(memory_bytes),
                  memory_text(wanted.weights_bytes), memory_text(wanted.cache_bytes() + wanted.retained_bytes),
                  memory_text(wanted.scratch_bytes), memory_text(wanted.vocabulary_bytes + wanted.program_bytes), biggest_part(wanted)),
      wanted.model, mend.empty() ? "no context fits: use smaller weights, or a machine with more memory" : "these fit: " + mend);
}

}  // namespace fovea
