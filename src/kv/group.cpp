#include "kv/group.h"

#include <algorithm>
#include <cassert>
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
      pool_(page_bytes(spec_), capacity_pages(spec_, options)),
      tables_(static_cast<size_t>(options.sequences)) {
  for (PageTable& pages : tables_) pages.reserve(pages_needed(spec_, options), spec_.window != kWholePast);
}

int Group::pages_missing(int sequence, int end) const {
  return std::max(0, end_page(end) - table(sequence).end_page());
}

void Group::extend(int sequence, int end) {
  for (int missing = pages_missing(sequence, end); missing > 0; --missing) {
    std::optional<PageRef> page = pool_.take();
    assert(page);
    table(sequence).append(std::move(*page));
  }
}

void Group::give_back_unreadable(int sequence, int length) {
  table(sequence).drop_before(first_readable(spec_.window, length) / kPageTokens);
}

void Group::release(int sequence) { table(sequence).clear(); }

kernels::KvPages Group::view(int sequence, size_t layer_offset) const {
  const PageTable& pages = table(sequence);
  return {pages.addresses(), pages.first_page(), pages.page_count(), layer_offset};
}

GroupStats Group::stats() const {
  return {.window = spec_.window,
          .layers = static_cast<int>(spec_.layers.size()),
          .page_bytes = pool_.page_bytes(),
          .held_pages = pool_.held_pages(),
          .capacity_pages = pool_.capacity_pages(),
          .peak_held_pages = pool_.peak_held_pages()};
}

void Group::check_sequence(int sequence, int length, int reserved_end) const {
  const PageTable& pages = table(sequence);
  require(pages.first_page() == first_readable(spec_.window, length) / kPageTokens,
          "a sequence does not begin at its oldest readable page");
  require(pages.end_page() == end_page(reserved_end), "a sequence does not end where it was reserved");
  for (int page = pages.first_page(); page < pages.end_page(); ++page) {
    require(pool_.references(pages.page(page).id()) > 0, "a sequence holds a page that is free");
    require(pages.addresses()[page - pages.first_page()] == pages.page(page).data(),
            "an address is not that of its page");
  }
}

void Group::check_pool() const {
  pool_.check();
  std::vector<int> references(static_cast<size_t>(pool_.capacity_pages()));
  for (const PageTable& pages : tables_) {
    for (int page = pages.first_page(); page < pages.end_page(); ++page) {
      ++references[static_cast<size_t>(pages.page(page).id())];
    }
  }
  for (int page = 0; page < pool_.capacity_pages(); ++page) {
    require(references[static_cast<size_t>(page)] == pool_.references(page),
            "a page is counted for holders that do not exist");
  }
}

}  // namespace fovea::kv
