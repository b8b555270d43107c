// Numbers about what an engine did and holds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea {

struct KvGroupStats {
  std::string kind;  // "local" or "global"
  int window = 0;    // tokens; 0: whole past
  int layers = 0;
  int page_tokens = 0;
  int64_t page_bytes = 0;
  int held_pages = 0;      // by running sequences
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
  int64_t kv_bytes = 0;         // reserved for pages
  int64_t scratch_bytes = 0;
  std::vector<KvGroupStats> kv;
};

}  // namespace fovea
