// Which pages a sequence forgets, and when: functions of its length and of what attention told of its pages, never of how its
// tokens were cut into steps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/options.h"

namespace fovea::kv {

// EvictionOptions in pages.
struct EvictionPages {
  int budget, sinks, recent, interval;
};
EvictionPages in_pages(const EvictionOptions& options);

// Throws Error when the parts do not fit the budget.
void check(const EvictionOptions& options);

// Whether pages are chosen by what attention says of them.
inline bool goes_by_attention(EvictionPolicy policy) {
  return policy == EvictionPolicy::heavy_hitters || policy == EvictionPolicy::persistence;
}
// Whether sinks are seen where they would be without the gap behind them, and not where they were read.
inline bool moves_sinks(EvictionPolicy policy) { return policy == EvictionPolicy::streaming; }

// The pages that go, ascending, of a sequence that holds as many as its budget.
//   attended  per page held, how much it was attended to; empty for policies that do not go by that
std::vector<int> pages_to_forget(const EvictionOptions& options, std::span<const int64_t> attended);

}  // namespace fovea::kv
