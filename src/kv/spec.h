// What a cache is asked to hold: groups of layers, and how much of each.
#pragma once

#include <cstdint>
#include <vector>

#include "fovea/options.h"
#include "kernels/kv_layout.h"

namespace fovea::kv {

inline constexpr int kWholePast = 0;  // a window that never closes

// Layers that keep state alike, and therefore share pages: a page holds kPageTokens positions of all of them.
struct GroupSpec {
  int window = kWholePast;        // tokens a query sees, itself included
  std::vector<int> layers;        // layer indices of the model, ascending; a layer belongs to one group at most, beside one of `newest`
  kernels::KvLayout layout = {};  // the same for every layer of the group
  // > 0: the layers keep no keys and values but a state of so many bytes per sequence, whatever its length; zero where a
  // sequence begins. Window and layout mean nothing then.
  int64_t state_bytes = 0;
  // The newest `window` positions of layers that another group holds too, in a narrower form: queries read these here and older
  // ones there (kernels::NewestKeys).
  bool newest = false;
};

// How many of the newest tokens a layer of this layout and window keeps in bf16 beside codes; 0: none. Only where keys are narrow.
// wanted: EngineOptions::kv_newest_tokens.
int newest_tokens(const kernels::KvLayout& layout, int window, int wanted);
// The groups, and behind them those of the newest tokens of layers that keep them.
std::vector<GroupSpec> with_newest(std::vector<GroupSpec> groups, int wanted);

struct CacheOptions {
  int context_tokens = 0;  // longest sequence
  int chunk_tokens = 0;    // most positions that one sequence adds between two commits
  int sequences = 1;       // that may live together
  // Positions that one group can hold for all sequences together, in whole pages; at least context_tokens, so
  // that one sequence alone always fits. 0: every sequence has room for context_tokens, and reserve() never
  // says no.
  int total_tokens = 0;
  // Bytes, of all groups together, for what is retained for requests to come, beside the pages that sequences may need.
  // Room that sequences do not use is retained in too; sequences win it back when they need it.
  int64_t retained_bytes = 0;
  // Positions that rollback() can take back at any time: groups with a window hold as many more.
  int rollback_tokens = 0;
  // One sequence, whose memory is set aside and resident from the start; nothing is shared, kept or forgotten.
  bool contiguous = false;
  // What sequences that are to forget hold of groups that see the whole past; every sequence may hold as much.
  EvictionOptions eviction = {};
  int64_t (*clock_ms)() = nullptr;  // for times to live; null: the monotonic clock
};

}  // namespace fovea::kv
