// What a sequence forgets: pages that are evicted while positions stay, and spans that are dropped while positions move up.
#include <algorithm>
#include <cassert>

#include "kv/cache.h"
#include "kv/eviction.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

int index_of(SequenceId id) { return static_cast<int>(id); }

}  // namespace

void Cache::let_forget(SequenceId id) {
  assert(at(id).extent.length == 0 && options_.eviction.policy != EvictionPolicy::none);
  at(id).forgets = std::ranges::any_of(groups_, [](const auto& group) { return group->forgetting().has_value(); });
}

int Cache::room_tokens(SequenceId id) const {
  const Sequence& sequence = at(id);
  int room = options_.context_tokens - sequence.extent.length;
  for (const auto& group : groups_) {
    if (!group->forgetting()) continue;
    const int held = sequence.extent.length - group->forgotten(index_of(id));
    room = std::min(room, group->forgetting()->budget * kPageTokens - held);
  }
  return room;
}

int Cache::moved_sinks(SequenceId id, int layer) const {
  const Group* group = place(layer).group;
  return group ? group->moved_sinks(index_of(id), at(id).extent.length) : 0;
}

bool Cache::evict(SequenceId id) {
  Sequence& sequence = at(id);
  assert(sequence.forgets && room_tokens(id) == 0 && sequence.extent.kept == sequence.extent.length);
  const int length = sequence.extent.length;
  const auto is_full = [&](const Group& group) { return group.is_full(index_of(id), length); };
  const auto missing = [&](size_t i) { return i < groups_.size() && is_full(*groups_[i]) ? groups_[i]->pages_to_evict(index_of(id)) : 0; };
  if (!make_room(missing)) return false;
  for (const auto& group : groups_) {
    if (is_full(*group)) group->evict(index_of(id), length);
  }
  sequence.restored = length;
  return true;
}

int Cache::forgotten(SequenceId id, int layer) const { return place(layer).group ? place(layer).group->forgotten(index_of(id)) : 0; }

int Cache::forgotten(SequenceId id) const {
  int most = 0;
  for (const auto& group : groups_) most = std::max(most, group->forgotten(index_of(id)));
  return most;
}

kernels::AttendedPages Cache::attended(SequenceId id, int layer) const {
  using Unit = kernels::AttendedPages::Unit;
  const bool counts = options_.eviction.policy == EvictionPolicy::persistence;
  return {at(id).forgets ? place(layer).group->attended(index_of(id)) : nullptr, counts ? Unit::above_average : Unit::share};
}

int Cache::longest_shift(SequenceId id, int keep) const {
  const int length = at(id).extent.length;
  int end = length / kPageTokens;
  for (const auto& group : groups_) {
    if (group->has_window()) end = std::min(end, group->first_page(length));
  }
  return std::max(0, end * kPageTokens - keep);
}

bool Cache::shift(SequenceId id, int keep, int drop) {
  Sequence& sequence = at(id);
  assert(keep % kPageTokens == 0 && drop % kPageTokens == 0 && drop > 0 && drop <= longest_shift(id, keep));
  assert(states_.empty() && !options_.contiguous && forgotten(id) == 0 && sequence.extent.kept == sequence.extent.length);
  const int first = (keep + drop) / kPageTokens;
  if (!make_room([&](size_t i) { return groups_[i]->shared_pages(index_of(id), first); })) return false;
  for (const auto& group : groups_) {
    group->own_pages(index_of(id), first);
    group->shift(index_of(id), keep / kPageTokens, drop / kPageTokens);
  }
  sequence.extent = sequence.extent.without(drop);
  if (sequence.has_prompt) {
    const auto begin = sequence.tokens.begin() + keep;
    sequence.tokens.erase(begin, begin + drop);
  }
  sequence.terms.keep = Keep::none;
  sequence.marks.clear();
  sequence.restored = sequence.extent.length;
  return true;
}

}  // namespace fovea::kv
