#include "kv/state_group.h"

#include <cassert>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "kv/formula.h"

namespace fovea::kv {

StateGroup::StateGroup(GroupSpec spec, const CacheOptions& options)
    : spec_(std::move(spec)), pool_(page_bytes(spec_), pool_pages(spec_, options)), pages_(static_cast<size_t>(options.sequences)) {
  assert(spec_.state_bytes > 0);
}

int StateGroup::pages_missing(int sequence) const { return !has_state(sequence) || page(sequence).shared() ? 1 : 0; }

void StateGroup::make_writable(int sequence) {
  if (pages_missing(sequence) == 0) return;
  std::optional<PageRef> own = pool_.take();
  assert(own);
  if (has_state(sequence)) {
    std::memcpy(own->data(), page(sequence).data(), static_cast<size_t>(pool_.page_bytes()));
  }
  at(sequence) = std::move(own);
}

void StateGroup::fork(int from, int to) {
  if (has_state(from)) begin(to, page(from).hold());
}

GroupStats StateGroup::stats() const {
  GroupStats stats = stats_of(pool_);
  stats.layers = static_cast<int>(spec_.layers.size());
  stats.state_bytes = spec_.state_bytes;
  return stats;
}

void StateGroup::check(const std::vector<int>& kept) const {
  pool_.check();
  std::vector<int> holders(static_cast<size_t>(pool_.capacity_pages()));
  for (const auto& page : pages_) {
    if (page) ++holders[static_cast<size_t>(page->id())];
  }
  for (int page = 0; page < pool_.capacity_pages(); ++page) {
    if (holders[static_cast<size_t>(page)] != pool_.holders(page) || kept[static_cast<size_t>(page)] != pool_.keepers(page)) {
      throw std::logic_error("state group: a page is counted for holders that do not exist");
    }
  }
}

}  // namespace fovea::kv
