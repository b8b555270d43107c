#include "kv/eviction.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "fovea/error.h"
#include "kernels/kv_layout.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

int pages_of(int tokens) { return tokens / kPageTokens + (tokens % kPageTokens != 0); }

}  // namespace

EvictionPages in_pages(const EvictionOptions& options) {
  EvictionPages pages = {pages_of(options.budget_tokens), pages_of(options.sinks), pages_of(options.recent_tokens),
                         std::max(1, pages_of(options.interval_tokens))};
  if (!goes_by_attention(options.policy)) pages.recent = 0;
  else if (pages.recent == 0) pages.recent = pages.budget / 2;
  return pages;
}

void check(const EvictionOptions& options) {
  if (options.policy == EvictionPolicy::none) return;
  const int least = std::min({options.budget_tokens, options.sinks, options.recent_tokens, options.interval_tokens});
  const int most = std::max({options.budget_tokens, options.sinks, options.recent_tokens, options.interval_tokens});
  if (least < 0 || most > EngineLimits::kMostContextTokens || options.budget_tokens == 0 || options.interval_tokens == 0) {
    throw Error("a number of tokens is below zero, or beyond what can be", "eviction options", "give a budget and an interval above 0");
  }
  const EvictionPages pages = in_pages(options);
  const int left = goes_by_attention(options.policy) ? 0 : 1;  // page of the newest, where no others are named
  if (pages.sinks + pages.recent + pages.interval + left <= pages.budget) return;
  throw Error(fmt::format("{} sinks, {} recent tokens and {} forgotten at a time leave nothing of a budget of {} tokens",
                          pages.sinks * kPageTokens, pages.recent * kPageTokens, pages.interval * kPageTokens,
                          pages.budget * kPageTokens),
              "eviction options", "give a larger budget, or less of the others");
}

std::vector<int> pages_to_forget(const EvictionOptions& options, std::span<const int64_t> attended) {
  const EvictionPages pages = in_pages(options);
  const int end = goes_by_attention(options.policy) ? pages.budget - pages.recent : pages.budget;
  std::vector<int> going(static_cast<size_t>(end - pages.sinks));
  std::iota(going.begin(), going.end(), pages.sinks);
  if (goes_by_attention(options.policy)) {  // of equals the oldest first
    std::ranges::stable_sort(going, {}, [&](int page) { return attended[static_cast<size_t>(page)]; });
  }
  going.resize(static_cast<size_t>(pages.interval));
  std::ranges::sort(going);
  return going;
}

}  // namespace fovea::kv
