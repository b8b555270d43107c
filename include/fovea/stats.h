// Numbers about what an engine did and holds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fovea {

// A group of layers with a state has no pages: page_tokens is 0, and a page is the state of one sequence.
struct KvGroupStats {
  std::string kind;  // of its layers, as LayerFacts::kind
  int window = 0;    // tokens; 0: whole past
  int layers = 0;
  int page_tokens = 0;
  int64_t page_bytes = 0;
  int held_pages = 0;      // by running sequences
  int kept_pages = 0;      // for requests to come
  int capacity_pages = 0;
};

struct EngineStats {
  int64_t computed_tokens = 0;  // positions that went through the model
  int64_t reused_tokens = 0;    // positions that were found in the cache instead
  int64_t steps = 0;
  double prefill_seconds = 0;   // steps with any prompt token in them
  double decode_seconds = 0;    // steps with generated tokens only
  int64_t prefill_tokens = 0;
  int64_t decode_tokens = 0;
  int64_t kv_bytes = 0;         // most that pages may take
  int64_t kv_used_bytes = 0;    // that they take now, held or kept
  int kv_boundaries = 0;        // positions that requests to come can continue from
  std::map<std::string, int64_t> reuse_reasons;  // requests by what kept them from reusing more
  int64_t scratch_bytes = 0;
  // Seconds of all steps by part of the model: "local attention", "global attention", "projections" (queries, keys, values and
  // the way back), "feed-forward", "states", "logits". What is missing to the steps' time is norms, embedding and sampling.
  std::map<std::string, double> part_seconds;
  std::vector<KvGroupStats> kv;
};

}  // namespace fovea
