// Which pages a sequence forgets, and when: functions of its length and of what attention told of its pages, never of how its
// tokens were cut into steps.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "fovea/options.h"
#include "kv/spec.h"

namespace fovea::kv {

// EvictionOptions in pages, for one group of layers.
struct EvictionPages {
  int budget, sinks, recent, interval;
  int copied_sinks = 0;  // that are kept twice: as they were computed, and where they are seen
};
// Of this group; nullopt: sequences that forget keep of it what others do.
std::optional<EvictionPages> forgetting(const GroupSpec& group, const EvictionOptions& options);
// The most that a sequence which forgets nothing can hold where room is set aside for others; 0: as much as the context.
int least_budget_tokens(std::span<const GroupSpec> groups, const EvictionOptions& options);

// Throws Error when the parts do not fit the budget, or no window is longer than its budget.
void check(const EvictionOptions& options, std::span<const GroupSpec> groups);

// Whether pages are chosen by what attention says of them.
inline bool goes_by_attention(EvictionPolicy policy) {
  return policy == EvictionPolicy::heavy_hitters || policy == EvictionPolicy::persistence;
}
// Whether sinks are seen where they would be without the gap behind them, and not where they were read.
inline bool moves_sinks(EvictionPolicy policy) { return policy == EvictionPolicy::streaming; }

// The pages that go, ascending, of a sequence that holds as many as its budget.
//   attended  per page held, how much it was attended to (those below 0 first); empty for policies that do not go by that
std::vector<int> pages_to_forget(const EvictionPages& pages, std::span<const int64_t> attended);

}  // namespace fovea::kv
