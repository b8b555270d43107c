// Numbers about what an engine did and holds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fovea {

// A group of layers with a state has no pages: page_tokens is 0, and a page is the state of one sequence.
struct KvGroupStats {
  std::string kind;  // "local", "global", "chunked", "latent" or "state"
  int window = 0;    // tokens; 0: whole past
  int layers = 0;
  std::vector<int> layer_indices = {};
  std::string codec = {};  // of keys and values; empty for states
  int page_tokens = 0;     // positions in a page; 0: a page is the state of one sequence
  int64_t page_bytes = 0;
  int held_pages = 0;    // by running sequences
  int kept_pages = 0;    // only for requests to come
  int pinned_pages = 0;  // for requests to come, whether a running sequence has them too or not
  int capacity_pages = 0;
  int peak_held_pages = 0;  // most that running sequences ever had
  int64_t held_bytes = 0, kept_bytes = 0, pinned_bytes = 0;
  int64_t planned_bytes = 0;  // for running sequences at their longest (Engine::plan)
};

struct EngineStats {
  int64_t computed_tokens = 0;   // positions that went through the model
  int64_t reused_tokens = 0;     // positions that were found in the cache instead
  int64_t generated_tokens = 0;  // that were sampled
  int running = 0, waiting = 0;  // requests now
  int64_t evicted_tokens = 0;    // that running sequences forgot to stay within their budget
  int64_t shifted_tokens = 0;    // that were dropped when a context was full
  int64_t steps = 0;
  int64_t guessed_tokens = 0;  // Request::prompt_lookup: that were checked
  int64_t guessed_right = 0;   // of them, that were what came
  double prefill_seconds = 0;  // steps with any prompt token in them
  double decode_seconds = 0;   // steps with generated tokens only
  int64_t prefill_tokens = 0;
  int64_t decode_tokens = 0;
  int64_t kv_bytes = 0;                          // most that pages may take
  int64_t kv_used_bytes = 0;                     // that they take now, held or kept
  int kv_boundaries = 0;                         // positions that requests to come can continue from
  int64_t replayed_tokens = 0;                   // of those computed, that only restored windows
  int64_t requests = 0;                          // that began
  int64_t reuse_hits = 0;                        // of them, that reused anything; the others missed
  std::map<std::string, int64_t> reuse_reasons;  // requests by what kept them from reusing more
  std::map<std::string, int64_t> miss_reasons;   // those that reused nothing, by why
  int64_t scratch_bytes = 0;
  // Seconds of all steps by part of the model: "local attention", "global attention", "projections" (queries, keys, values and
  // the way back), "feed-forward", "states", "logits". What is missing to the steps' time is norms, embedding and sampling.
  std::map<std::string, double> part_seconds;
  std::vector<KvGroupStats> kv;
};

}  // namespace fovea
