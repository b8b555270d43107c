// What a sequence forgets of one group: pages that go while others move up.
#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>
#include <utility>

#include "kv/formula.h"
#include "kv/group.h"

namespace fovea::kv {

using kernels::kPageTokens;

void Group::stand_where_computed(int sequence) {
  int32_t position = 0;
  for (int32_t& page : stand_at_[static_cast<size_t>(sequence)]) page = std::exchange(position, position + kPageTokens);
}

void Group::forget(int sequence, std::span<const int> pages) {
  pages_of(sequence).erase(pages);
  std::vector<int64_t>& attended = attended_[static_cast<size_t>(sequence)];
  if (attended.empty()) return;
  for (auto page = pages.rbegin(); page != pages.rend(); ++page) {
    attended.erase(attended.begin() + *page);
    attended.push_back(0);
  }
  std::vector<int32_t>& stand_at = stand_at_[static_cast<size_t>(sequence)];
  for (auto page = pages.rbegin(); !stand_at.empty() && page != pages.rend(); ++page) {
    const int32_t next = stand_at.back() + kPageTokens;
    stand_at.erase(stand_at.begin() + *page);
    stand_at.push_back(next);
  }
}

int Group::pages_to_evict(int sequence) const {
  const auto computed = static_cast<int>(sinks_[static_cast<size_t>(sequence)].size());
  int missing = forgetting_->copied_sinks - computed;
  for (int page = 0; page < computed; ++page) missing += table(sequence).page(page).shared();
  return missing;
}

// What has left the window, though it was attended to, goes before what has not.
std::vector<int> Group::victims(int sequence, int length) {
  if (!goes_by_attention(policy_)) return pages_to_forget(*forgetting_, {});
  const std::span attended = std::span(attended_[static_cast<size_t>(sequence)]).first(static_cast<size_t>(forgetting_->budget));
  const std::vector<int32_t>& stand_at = stand_at_[static_cast<size_t>(sequence)];
  for (size_t page = 0; has_window() && page < attended.size(); ++page) {
    const int end = stand_at[page] + kPageTokens;
    if (end <= first_readable(spec_.window, length)) attended[page] = -1;
  }
  return pages_to_forget(*forgetting_, attended);
}

void Group::evict(int sequence, int length) {
  assert(is_full(sequence, length));
  forget(sequence, victims(sequence, length));
  copy_sinks(sequence);
  if (policy_ == EvictionPolicy::persistence) forget_attention(sequence);
  forgotten_[static_cast<size_t>(sequence)] += forgetting_->interval * kPageTokens;
}

void Group::copy_sinks(int sequence) {
  std::vector<PageRef>& sinks = sinks_[static_cast<size_t>(sequence)];
  for (int page = 0; page < forgetting_->copied_sinks; ++page) {
    if (page == static_cast<int>(sinks.size())) sinks.push_back(table(sequence).page(page).hold());
    if (table(sequence).page(page).shared()) replace_by_copy(sequence, page);
    std::memcpy(table(sequence).page(page).data(), sinks[static_cast<size_t>(page)].data(), static_cast<size_t>(pool_.page_bytes()));
  }
}

int Group::moved_sinks(int sequence, int length) const {
  if (!forgetting_ || forgotten(sequence) == 0) return 0;
  const bool evicted = length - forgotten(sequence) == (forgetting_->budget - forgetting_->interval) * kPageTokens;
  return evicted ? forgetting_->copied_sinks * kPageTokens : 0;
}

int64_t* Group::attended(int sequence) const {
  std::vector<int64_t>& attended = attended_[static_cast<size_t>(sequence)];
  return attended.empty() ? nullptr : attended.data();
}

void Group::forget_attention(int sequence) { std::ranges::fill(attended_[static_cast<size_t>(sequence)], 0); }

void Group::shift(int sequence, int keep, int drop) {
  PageTable& pages = pages_of(sequence);
  if (has_window()) {
    assert(pages.first_page() >= keep + drop);
    return pages.renumber(pages.first_page() - drop);
  }
  std::vector<int> between(static_cast<size_t>(drop));
  std::iota(between.begin(), between.end(), keep);
  forget(sequence, between);
  stand_where_computed(sequence);  // positions are counted anew
}

}  // namespace fovea::kv
