// What a cache is asked to hold: groups of layers, and how much of each.
#pragma once

#include <vector>

#include "kernels/kv_layout.h"

namespace fovea::kv {

inline constexpr int kWholePast = 0;  // a window that never closes

// Layers that keep state alike, and therefore share pages: a page holds kPageTokens positions of all of them.
struct GroupSpec {
  int window = kWholePast;   // tokens a query sees, itself included
  std::vector<int> layers;   // layer indices of the model, ascending; a layer belongs to one group at most
  kernels::KvLayout layout;  // the same for every layer of the group
};

struct CacheOptions {
  int context_tokens = 0;  // longest sequence
  int chunk_tokens = 0;    // most positions that one sequence adds between two commits
  int sequences = 1;       // that may live together
  // Positions that one group can hold for all sequences together, in whole pages; at least context_tokens, so
  // that one sequence alone always fits. 0: every sequence has room for context_tokens, and reserve() never
  // says no.
  int total_tokens = 0;
};

}  // namespace fovea::kv
