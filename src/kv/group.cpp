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
      pool_(page_bytes(spec_), pool_pages(spec_, options)),
      tables_(static_cast<size_t>(options.sequences)) {
  for (PageTable& pages : tables_) pages.reserve(pages_needed(spec_, options), has_window());
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
    std::optional<PageRef> own = pool_.take();
    assert(own);
    // Slots beyond the length are copied too: they are written before they are read.
    std::memcpy(own->data(), table(sequence).page(shared).data(), static_cast<size_t>(pool_.page_bytes()));
    pages_of(sequence).replace(shared, std::move(*own));
  }
  while (table(sequence).end_page() < end_page(end)) {
    std::optional<PageRef> page = pool_.take();
    assert(page);
    pages_of(sequence).append(std::move(*page));
  }
}

int Group::first_page(int length) const {
  return first_readable(spec_.window, std::max(0, length - rollback_tokens_)) / kPageTokens;
}

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
  for (int page = source.first_page(); page < end_page(length); ++page)
    pages.append(source.page(page).hold());
}

PageTable& Group::begin(int sequence, int first_page) {
  pages_of(sequence).start_at(first_page);
  return pages_of(sequence);
}

kernels::KvPages Group::view(int sequence, size_t layer_offset) const {
  const PageTable& pages = table(sequence);
  return {pages.addresses(), pages.first_page(), pages.page_count(), layer_offset};
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
  require(pages.first_page() <= first_readable(spec_.window, extent.length) / kPageTokens,
          "a sequence lacks a page that it can read");
  require(pages.first_page() >= first_page(extent.length), "a sequence holds a page that it cannot read");
  require(pages.end_page() == end_page(newest), "a sequence does not end where it was reserved");
  for (int page = pages.first_page(); page < pages.end_page(); ++page) {
    require(pool_.holders(pages.page(page).id()) > 0, "a sequence holds a page that is free");
    require(pages.addresses()[page - pages.first_page()] == pages.page(page).data(),
            "an address is not that of its page");
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
  for (int page = 0; page < pool_.capacity_pages(); ++page) {
    require(holders[static_cast<size_t>(page)] == pool_.holders(page) &&
                kept[static_cast<size_t>(page)] == pool_.keepers(page),
            "a page is counted for holders that do not exist");
  }
}

}  // namespace fovea::kv
