#include "kv/group.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "kv/formula.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

int end_page(int end_position) { return end_position / kPageTokens + (end_position % kPageTokens != 0); }

void require(bool holds, const char* invariant) {
  if (!holds) throw std::logic_error(std::string("group: ") + invariant);
}

}  // namespace

Group::Group(GroupSpec spec, const CacheOptions& options)
    : spec_(std::move(spec)),
      rollback_tokens_(options.rollback_tokens),
      policy_(options.eviction.policy),
      forgetting_(kv::forgetting(spec_, options.eviction)),
      pool_(page_bytes(spec_), pool_pages(spec_, options)),
      tables_(static_cast<size_t>(options.sequences)),
      forgotten_(static_cast<size_t>(options.sequences)),
      sinks_(static_cast<size_t>(options.sequences)),
      attended_(static_cast<size_t>(options.sequences)),
      stand_at_(static_cast<size_t>(options.sequences)) {
  for (PageTable& pages : tables_) pages.reserve(pages_needed(spec_, options), has_window());
  if (!forgetting_ || !goes_by_attention(policy_)) return;
  const auto most_pages = static_cast<size_t>(pages_needed(spec_, options));
  for (auto& attended : attended_) attended.resize(most_pages);
  const bool asks_where = spec_.layout.turned > 0 || has_window();
  for (int sequence = 0; asks_where && sequence < options.sequences; ++sequence) {
    stand_at_[static_cast<size_t>(sequence)].resize(most_pages);
    stand_where_computed(sequence);
  }
}

void Group::release(int sequence) {
  pages_of(sequence).clear();
  forgotten_[static_cast<size_t>(sequence)] = 0;
  sinks_[static_cast<size_t>(sequence)].clear();
  forget_attention(sequence);
  stand_where_computed(sequence);
}

int Group::page_to_copy(int sequence, const Extent& extent) const {
  const int position = first_written(extent), page = position / kPageTokens;
  if (position % kPageTokens == 0 || page >= table(sequence).end_page()) return -1;
  return table(sequence).page(page).shared() ? page : -1;
}

int Group::pages_missing(int sequence, const Extent& extent, int end) const {
  if (end <= first_written(extent)) return 0;
  return std::max(0, end_page(end) - table(sequence).end_page()) + (page_to_copy(sequence, extent) >= 0);
}

void Group::extend(int sequence, const Extent& extent, int end) {
  if (end <= first_written(extent)) return;
  if (const int shared = page_to_copy(sequence, extent); shared >= 0) {
    replace_by_copy(sequence, shared);
  }
  while (table(sequence).end_page() < end_page(end)) {
    std::optional<PageRef> page = pool_.take();
    assert(page);
    pages_of(sequence).append(std::move(*page));
  }
}

// Slots beyond the length are copied too: they are written before they are read.
void Group::replace_by_copy(int sequence, int page) {
  std::optional<PageRef> own = pool_.take();
  assert(own);
  std::memcpy(own->data(), table(sequence).page(page).data(), static_cast<size_t>(pool_.page_bytes()));
  pages_of(sequence).replace(page, std::move(*own));
}

int Group::first_page(int length) const { return first_readable(spec_.window, std::max(0, length - rollback_tokens_)) / kPageTokens; }

void Group::give_back_unreadable(int sequence, int length) {
  pages_of(sequence).drop_before(std::min(first_page(length), table(sequence).end_page()));
}

bool Group::can_roll_back(int sequence, int length) const {
  return table(sequence).first_page() <= first_readable(spec_.window, length) / kPageTokens;
}

void Group::roll_back(int sequence, int length) { pages_of(sequence).drop_from(end_page(length)); }

void Group::fork(int from, int to, int length) {
  const PageTable& source = table(from);
  PageTable& pages = begin(to, source.first_page());
  for (int page = source.first_page(); page < end_page(length); ++page) pages.append(source.page(page).hold());
  forgotten_[static_cast<size_t>(to)] = forgotten(from);
  for (const PageRef& sink : sinks_[static_cast<size_t>(from)]) sinks_[static_cast<size_t>(to)].push_back(sink.hold());
  attended_[static_cast<size_t>(to)] = attended_[static_cast<size_t>(from)];
  stand_at_[static_cast<size_t>(to)] = stand_at_[static_cast<size_t>(from)];
}

int Group::shared_pages(int sequence, int first) const {
  int count = 0;
  const PageTable& pages = table(sequence);
  for (int page = std::max(first, pages.first_page()); page < pages.end_page(); ++page) count += pages.page(page).shared();
  return count;
}

void Group::own_pages(int sequence, int first) {
  const PageTable& pages = table(sequence);
  for (int page = std::max(first, pages.first_page()); page < pages.end_page(); ++page) {
    if (pages.page(page).shared()) replace_by_copy(sequence, page);
  }
}

PageTable& Group::begin(int sequence, int first_page) {
  pages_of(sequence).start_at(first_page);
  return pages_of(sequence);
}

kernels::KvPages Group::view(int sequence, size_t layer_offset) const {
  const PageTable& pages = table(sequence);
  const std::vector<int32_t>& stand_at = stand_at_[static_cast<size_t>(sequence)];
  // Sinks too are turned to where they would be without the gap.
  return {pages.addresses(),
          pages.first_page(),
          pages.page_count(),
          layer_offset,
          0,
          forgotten(sequence),
          stand_at.empty() ? nullptr : stand_at.data()};
}

GroupStats stats_of(const PagePool& pool) {
  GroupStats stats;
  stats.page_bytes = pool.page_bytes();
  stats.held_pages = pool.held_pages();
  stats.idle_pages = pool.idle_pages();
  stats.pinned_pages = pool.kept_pages();
  stats.capacity_pages = pool.capacity_pages();
  stats.peak_held_pages = pool.peak_held_pages();
  return stats;
}

GroupStats Group::stats() const {
  GroupStats stats = stats_of(pool_);
  stats.window = spec_.window;
  stats.layers = static_cast<int>(spec_.layers.size());
  return stats;
}

void Group::check_sequence(int sequence, const Extent& extent) const {
  const PageTable& pages = table(sequence);
  const int newest = has_window() ? extent.reserved_end : std::max(extent.reserved_end, extent.kept);
  require(pages.first_page() <= first_readable(spec_.window, extent.length) / kPageTokens, "a sequence lacks a page that it can read");
  require(pages.first_page() >= first_page(extent.length), "a sequence holds a page that it cannot read");
  require(pages.end_page() == end_page(newest), "a sequence does not end where it was reserved");
  for (int page = pages.first_page(); page < pages.end_page(); ++page) {
    require(pool_.holders(pages.page(page).id()) > 0, "a sequence holds a page that is free");
    require(pages.addresses()[page - pages.first_page()] == pages.page(page).data(), "an address is not that of its page");
  }
}

void Group::check_pool(const std::vector<int>& kept) const {
  pool_.check();
  std::vector<int> holders(static_cast<size_t>(pool_.capacity_pages()));
  for (const PageTable& pages : tables_) {
    for (int page = pages.first_page(); page < pages.end_page(); ++page) {
      ++holders[static_cast<size_t>(pages.page(page).id())];
    }
  }
  for (const std::vector<PageRef>& sinks : sinks_) {
    for (const PageRef& page : sinks) ++holders[static_cast<size_t>(page.id())];
  }
  for (int page = 0; page < pool_.capacity_pages(); ++page) {
    require(holders[static_cast<size_t>(page)] == pool_.holders(page) && kept[static_cast<size_t>(page)] == pool_.keepers(page),
            "a page is counted for holders that do not exist");
  }
}

}  // namespace fovea::kv
