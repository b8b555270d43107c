// Which prefixes a group with a window can continue from, given local runs that were pinned along the way.
#pragma once

#include <span>
#include <vector>

#include "kv/boundary.h"

namespace fovea::kv {

// A run as far as it agrees with the tokens at hand: its positions [run->begin_position(), end).
struct UsableRun {
  const LocalRun* run = nullptr;
  int end = 0;
};

// The longest p <= most such that the runs, together, hold every position in [p - window + 1, p); 0 if none.
int longest_served(int window, std::span<const UsableRun> runs, int most);

// The page for whoever continues from `length`. REQUIRES longest_served(window, runs, length) == length, and
// a page that a query at `length` reads.
const PageRef& page_served(std::span<const UsableRun> runs, int page, int length);

}  // namespace fovea::kv
