// What a sequence forgets: pages that are evicted while positions stay, and spans that are dropped while positions move up.
#include <algorithm>
#include <cassert>

#include "kv/cache.h"
#include "kv/eviction.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

int index_of(SequenceId id) { return static_cast<int>(id); }

bool sees_whole_past(const std::vector<std::unique_ptr<Group>>& groups) {
  return std::ranges::any_of(groups, [](const auto& group) { return !group->has_window(); });
}

}  // namespace

void Cache::let_forget(SequenceId id) {
  assert(at(id).extent.length == 0 && options_.eviction.policy != EvictionPolicy::none);
  at(id).forgets = sees_whole_past(groups_);
}

int Cache::room_tokens(SequenceId id) const {
  const Sequence& sequence = at(id);
  const int left = options_.context_tokens - sequence.extent.length;
  if (options_.eviction.policy == EvictionPolicy::none || !sees_whole_past(groups_)) return left;
  const int held = sequence.extent.length - sequence.forgotten;
  return std::min(left, in_pages(options_.eviction).budget * kPageTokens - held);
}

int Cache::moved_sinks(SequenceId id) const {
  if (!at(id).forgets || !moves_sinks(options_.eviction.policy)) return 0;
  return in_pages(options_.eviction).sinks * kPageTokens;
}

bool Cache::evict(SequenceId id) {
  Sequence& sequence = at(id);
  assert(sequence.forgets && room_tokens(id) == 0 && sequence.extent.kept == sequence.extent.length);
  const int sinks = moved_sinks(id) / kPageTokens, sequence_index = index_of(id);
  const auto missing = [&](size_t i) {
    return i < groups_.size() && !groups_[i]->has_window() ? groups_[i]->pages_for_sinks(sequence_index, sinks) : 0;
  };
  if (!make_room(missing)) return false;
  const EvictionPages pages = in_pages(options_.eviction);
  for (const auto& group : groups_) {
    if (group->has_window()) continue;
    const int64_t* attended = group->attended(sequence_index);
    group->forget(sequence_index,
                  pages_to_forget(options_.eviction, std::span(attended, attended ? static_cast<size_t>(pages.budget) : 0)));
    group->move_sinks(sequence_index, sinks);
    if (options_.eviction.policy == EvictionPolicy::persistence) group->forget_attention(sequence_index);
  }
  sequence.forgotten += pages.interval * kPageTokens;
  sequence.restored = sequence.extent.length;
  return true;
}

int Cache::forgotten(SequenceId id, int layer) const {
  return place(layer).group ? forgotten(at(id), *place(layer).group) : 0;
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
  assert(states_.empty() && !options_.contiguous && sequence.forgotten == 0 && sequence.extent.kept == sequence.extent.length);
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
