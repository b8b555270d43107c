// What always holds of a cache.
#include <stdexcept>
#include <string>
#include <vector>

#include "kv/cache.h"

namespace fovea::kv {

void Cache::check() const {
  const auto require = [](bool holds, const char* invariant) {
    if (!holds) throw std::logic_error(std::string("cache: ") + invariant);
  };
  for (const Sequence& sequence : sequences_) {
    const Extent& extent = sequence.extent;
    require(sequence.live || (extent.length == 0 && extent.reserved_end == 0), "a released sequence still has a length");
    require(extent.length <= extent.reserved_end && extent.reserved_end <= options_.context_tokens && extent.kept >= extent.length &&
                extent.kept <= options_.context_tokens,
            "a sequence is longer than what was reserved, or than the context");
    require(!sequence.has_prompt || static_cast<int>(sequence.tokens.size()) == extent.length,
            "a sequence has not as many tokens as positions");
  }
  std::vector<std::vector<int>> kept;  // per pool and page: how many keep it
  for (const PagePool* pool : pools_) kept.emplace_back(static_cast<size_t>(pool->capacity_pages()));
  std::vector<size_t> pool_of[3];  // by what a group keeps
  for (size_t i = 0; i < pools_.size(); ++i) {
    const KeptIn in = i >= groups_.size() ? KeptIn::states : groups_[i]->has_window() ? KeptIn::windows : KeptIn::whole_past;
    pool_of[static_cast<size_t>(in)].push_back(i);
  }
  index_.visit_pages([&](KeptIn in, size_t group, const PageRef& page) {
    ++kept[pool_of[static_cast<size_t>(in)][group]][static_cast<size_t>(page.id())];
  });
  for (size_t i = 0; i < groups_.size(); ++i) {
    for (size_t s = 0; s < sequences_.size(); ++s) {
      const int gone = groups_[i]->forgotten(static_cast<int>(s));
      groups_[i]->check_sequence(static_cast<int>(s), sequences_[s].extent.without(gone));
    }
    groups_[i]->check_pool(kept[i]);
  }
  for (size_t i = 0; i < states_.size(); ++i) {
    for (size_t s = 0; s < sequences_.size(); ++s) {
      const bool has_state = states_[i]->has_state(static_cast<int>(s));
      require(has_state || sequences_[s].extent.reserved_end == 0, "a sequence with positions has no state");
      require(!has_state || sequences_[s].live, "a released sequence still has a state");
    }
    states_[i]->check(kept[groups_.size() + i]);
  }
  index_.check();
  require(used_bytes() <= limit_bytes_ && resident_bytes() <= limit_bytes_, "pages take more than the limit");
}

}  // namespace fovea::kv
