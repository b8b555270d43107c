#include "engine/request_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/context_shift.h"
#include "engine/grammar_state.h"
#include "engine/model_state.h"
#include "engine/prompt_lookup.h"
#include "engine/settled_options.h"
#include "fovea/error.h"
#include "kv/eviction.h"
#include "model/forward.h"
#include "model/turned_keys.h"
#include "sampling/option_check.h"

namespace fovea {
namespace {

// Of the longest sequence that forgets nothing.
int held_tokens(const model::ModelSpec& spec, const EngineOptions& options) {
  const int budget = kv::least_budget_tokens(kv_groups(spec, options), options.eviction);
  return budget == 0 ? options.context_tokens : std::min(options.context_tokens, budget);
}

void check_shift(const Request& request, const model::ModelSpec& spec, const EngineOptions& options) {
  if (options.eviction.policy != EvictionPolicy::none) {
    throw Error("a sequence that forgets within a budget has no full context to shift", "request", "choose one of them");
  }
  if (options.static_cache) throw Error("a static cache cannot be shifted", "request", "run with a paged cache");
  model::require_shiftable(spec);
  require_turning_keys(options, spec, "request");
  const int keep = *request.shift_after;
  int widest = 0;
  for (const model::LayerSpec& layer : spec.layers) widest = std::max({widest, layer.attention.window, layer.attention.chunk});
  const int context = options.context_tokens, reached = widest == 0 ? context : context - widest + 1;
  const bool fits = keep >= 0 && keep < context - 2 * kernels::kPageTokens;
  if (fits && span_to_drop(context, reached, whole_pages(keep)) > 0) return;
  throw Error(
      fmt::format("nothing can be dropped of a context of {} after {} tokens, before windows of {}", options.context_tokens, keep, widest),
      "request", "ask for a longer context (-c), or keep fewer tokens");
}

}  // namespace

void check_request(const Request& request, const Model& model, const EngineOptions& options) {
  const model::ModelSpec& spec = model.state().spec;
  if (request.prompt.empty()) throw Error("the prompt is empty", "request", "give at least one token");
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    if (request.prompt[i] >= 0 && request.prompt[i] < spec.vocabulary) continue;
    throw Error(fmt::format("token {} is {}, outside the vocabulary of {}", i, request.prompt[i], spec.vocabulary), "request",
                "tokenize the text with this model's own tokenizer");
  }
  if (request.logits_from < 0) throw Error("logits_from is negative", "request", "give 0 or more");
  for (const int boundary : request.cache.boundaries) {
    if (boundary >= 0 && static_cast<size_t>(boundary) <= request.prompt.size()) continue;
    throw Error(fmt::format("boundary {} is not in the prompt of {} tokens", boundary, request.prompt.size()), "request",
                "give positions of the prompt");
  }
  if (!(request.cache.ttl_seconds >= 0) || request.cache.approximate_windows < 0) {
    throw Error("ttl_seconds or approximate_windows is negative", "request", "give 0 or more");
  }
  if (request.embed && (request.max_tokens > 0 || request.on_logits)) {
    throw Error("an embedding is of a prompt alone", "request", "ask for no tokens and no logits");
  }
  if (request.prompt_lookup < 0 || request.prompt_lookup > PromptLookup::kMostTokens) {
    throw Error(fmt::format("prompt_lookup is {}", request.prompt_lookup), "request",
                fmt::format("give 0 to {}", PromptLookup::kMostTokens));
  }
  if (request.max_tokens < 0) throw Error("max_tokens is negative", "request", "give 0 or more");
  if (request.top_logprobs.value_or(0) < 0) throw Error("top_logprobs is negative", "request", "give 0 or more");
  sampling::check_options(request.sampling, spec.vocabulary, {});
  if (request.grammar && request.grammar->state().model != &model.state()) {
    throw Error("the grammar was compiled for another model", "request", "compile it for the engine's own");
  }
  if (request.shift_after) check_shift(request, spec, options);
  const int64_t generated = request.shift_after ? 0 : std::max(0, request.max_tokens - 1);
  const int64_t needed = static_cast<int64_t>(request.prompt.size()) + generated;
  const int longest = request.evict ? options.context_tokens : held_tokens(spec, options);
  if (needed > longest) {
    throw Error(fmt::format("{} prompt tokens and {} to generate do not fit the {} of {}", request.prompt.size(), generated,
                            longest < options.context_tokens ? "budget" : "context", longest),
                "request", "ask for a longer context (-c) or fewer tokens (-n)");
  }
}

}  // namespace fovea
