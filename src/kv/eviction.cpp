#include "kv/eviction.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "fovea/error.h"
#include "kernels/kv_layout.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

int pages_of(int tokens) { return tokens / kPageTokens + (tokens % kPageTokens != 0); }

EvictionPages in_pages(const EvictionOptions& options, int budget_tokens) {
  EvictionPages pages = {pages_of(budget_tokens), pages_of(options.sinks), pages_of(options.recent_tokens),
                         std::max(1, pages_of(options.interval_tokens))};
  if (!goes_by_attention(options.policy)) pages.recent = 0;
  else if (pages.recent == 0) pages.recent = pages.budget / 2;
  return pages;
}

void check_parts(const EvictionOptions& options, const EvictionPages& pages) {
  const int left = goes_by_attention(options.policy) ? 0 : 1;  // page of the newest, where no others are named
  if (pages.sinks + pages.recent + pages.interval + left <= pages.budget) return;
  throw Error(fmt::format("{} sinks, {} recent tokens and {} forgotten at a time leave nothing of a budget of {} tokens",
                          pages.sinks * kPageTokens, pages.recent * kPageTokens, pages.interval * kPageTokens, pages.budget * kPageTokens),
              "eviction options", "give a larger budget, or less of the others");
}

bool is_windowed(const GroupSpec& group) { return group.state_bytes == 0 && !group.newest && group.window != kWholePast; }

void check_windows(const EvictionOptions& options, std::span<const GroupSpec> groups) {
  int widest = 0;
  for (const GroupSpec& group : groups) {
    if (!is_windowed(group)) continue;
    widest = std::max(widest, group.window);
    if (const auto pages = forgetting(group, options)) return check_parts(options, *pages);
  }
  throw Error(widest == 0 ? "no layer has a window that could hold a budget of its own"
                          : fmt::format("windows of {} tokens are not longer than their budget of {}", widest,
                                        pages_of(options.local_budget_tokens) * kPageTokens),
              "eviction options", "give a local budget below the window, or none: windows forget by themselves");
}

}  // namespace

std::optional<EvictionPages> forgetting(const GroupSpec& group, const EvictionOptions& options) {
  if (options.policy == EvictionPolicy::none || group.state_bytes > 0 || group.newest) return std::nullopt;
  const bool windowed = is_windowed(group);
  if (windowed && (options.local_budget_tokens == 0 || pages_of(options.local_budget_tokens) * kPageTokens >= group.window)) {
    return std::nullopt;
  }
  EvictionPages pages = in_pages(options, windowed ? options.local_budget_tokens : options.budget_tokens);
  if (windowed && goes_by_attention(options.policy)) pages.sinks = 0;
  // Keys that are turned as they are read need no copy to be moved.
  if (moves_sinks(options.policy) && group.layout.turned == 0) pages.copied_sinks = pages.sinks;
  return pages;
}

int least_budget_tokens(std::span<const GroupSpec> groups, const EvictionOptions& options) {
  int least = 0;
  for (const GroupSpec& group : groups) {
    const auto pages = forgetting(group, options);
    if (pages && (least == 0 || pages->budget * kPageTokens < least)) least = pages->budget * kPageTokens;
  }
  return least;
}

void check(const EvictionOptions& options, std::span<const GroupSpec> groups) {
  if (options.policy == EvictionPolicy::none) return;
  const auto sizes = {options.budget_tokens, options.local_budget_tokens, options.sinks, options.recent_tokens, options.interval_tokens};
  if (std::min(sizes) < 0 || std::max(sizes) > EngineLimits::kMostContextTokens || options.budget_tokens == 0 ||
      options.interval_tokens == 0) {
    throw Error("a number of tokens is below zero, or beyond what can be", "eviction options", "give a budget and an interval above 0");
  }
  check_parts(options, in_pages(options, options.budget_tokens));
  if (options.local_budget_tokens > 0) check_windows(options, groups);
}

std::vector<int> pages_to_forget(const EvictionPages& pages, std::span<const int64_t> attended) {
  std::vector<int> going(static_cast<size_t>(pages.budget - pages.recent - pages.sinks));
  std::iota(going.begin(), going.end(), pages.sinks);
  if (!attended.empty()) {  // of equals the oldest first
    std::ranges::sort(going, {}, [&](int page) { return std::pair(attended[static_cast<size_t>(page)], page); });
  }
  going.resize(static_cast<size_t>(pages.interval));
  std::ranges::sort(going);
  return going;
}

}  // namespace fovea::kv
