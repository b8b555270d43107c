#include "kv/cache.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <chrono>
#include <utility>

#include "kv/eviction.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

using kernels::kPageTokens;

constexpr int kUsualSpacing = 256;  // tokens between spaced boundaries where no window says otherwise

int index_of(SequenceId id) { return static_cast<int>(id); }

int end_page(int end_position) { return (end_position + kPageTokens - 1) / kPageTokens; }

// Whether a layer has a window, beside what it keeps of its newest tokens.
bool has_window(std::span<const GroupSpec> groups, int layer) {
  return std::ranges::any_of(groups, [layer](const GroupSpec& group) {
    return !group.newest && group.window != kWholePast && std::ranges::count(group.layers, layer) > 0;
  });
}

IndexShape index_shape(std::span<const GroupSpec> groups, const CacheOptions& options) {
  IndexShape shape;
  shape.limit_bytes = limit_bytes(groups, options);
  for (const GroupSpec& group : groups) {
    shape.state_groups += group.state_bytes > 0;
    if (group.state_bytes > 0 || group.window == kWholePast) continue;
    shape.windows.push_back(group.window);
    if (group.newest && has_window(groups, group.layers.front())) continue;  // the newest are restored with the whole window
    shape.replay_tokens += (group.window - 1) * static_cast<int>(group.layers.size());
  }
  // A page more: boundaries keep whole pages, which may begin before the window.
  if (!shape.windows.empty()) shape.replay_tokens += kPageTokens;
  if (shape.state_groups > 0) shape.replay_tokens = 0;  // a state depends on the whole past
  return shape;
}

int least_spacing(std::span<const GroupSpec> groups) {
  int widest = 0;
  for (const GroupSpec& group : groups) {
    if (group.state_bytes == 0 && !group.newest) widest = std::max(widest, group.window);
  }
  return end_page(widest > 0 ? widest : kUsualSpacing) * kPageTokens;
}

// The first point after `position` where a long prefill leaves a boundary: points grow rarer with depth, so
// that wherever somebody branches off, about a quarter of the way is lost at most.
int next_spaced(int position, int least) {
  const int gap = std::max(least, static_cast<int>(std::bit_floor(static_cast<unsigned>(position / 4) | 1u)));
  return (position / gap + 1) * gap;
}

}  // namespace

Cache::Cache(std::vector<GroupSpec> groups, const CacheOptions& options)
    : options_(options),
      sequences_(static_cast<size_t>(options.sequences)),
      missing_(groups.size()),
      limit_bytes_(kv::limit_bytes(groups, options)),
      spacing_tokens_(least_spacing(groups)),
      index_(index_shape(groups, options)) {
  assert(options.context_tokens > 0 && options.chunk_tokens > 0 && options.sequences > 0);
  kv::check(options.eviction, groups);
  assert(options.total_tokens == 0 || options.total_tokens >= options.context_tokens);
  assert(!options.contiguous || (options.sequences == 1 && options.eviction.policy == EvictionPolicy::none));
  for (GroupSpec& spec : groups) {
    if (spec.state_bytes > 0) {
      states_.push_back(std::make_unique<StateGroup>(std::move(spec), options));
      place_layers({.states = states_.back().get(), .spec = &states_.back()->spec()});
    } else if (options.contiguous) {
      contiguous_.push_back(std::make_unique<StaticGroup>(std::move(spec), options));
      place_layers({.contiguous = contiguous_.back().get(), .spec = &contiguous_.back()->spec()});
    } else {
      groups_.push_back(std::make_unique<Group>(std::move(spec), options));
      place_layers({.group = groups_.back().get(), .spec = &groups_.back()->spec()});
    }
  }
  for (const auto& group : groups_) pools_.push_back(&group->pool());
  for (const auto& states : states_) pools_.push_back(&states->pool());
}

void Cache::place_layers(const LayerPlace& of_group) {
  LayerPlace next = of_group;
  for (const int layer : of_group.spec->layers) {
    for (auto* places : {&places_, &newest_places_}) places->resize(std::max(places->size(), static_cast<size_t>(layer) + 1));
    LayerPlace& place = (of_group.spec->newest ? newest_places_ : places_)[static_cast<size_t>(layer)];
    assert(!place.spec);
    place = next;
    next.offset += layer_stride_bytes(*of_group.spec);
    ++next.member;
  }
}

std::optional<SequenceId> Cache::create() {
  const auto unused = std::ranges::find(sequences_, false, &Sequence::live);
  if (unused == sequences_.end()) return std::nullopt;
  unused->live = true;
  for (const auto& group : contiguous_) group->clear();
  return static_cast<SequenceId>(unused - sequences_.begin());
}

void Cache::release(SequenceId id) {
  Sequence& sequence = at(id);
  std::vector<int32_t> memory = std::move(sequence.tokens);  // for the next to come
  memory.clear();
  sequence = {};
  sequence.tokens = std::move(memory);
  for (const auto& group : groups_) group->release(index_of(id));
  for (const auto& states : states_) states->release(index_of(id));
}

int Cache::length(SequenceId id) const { return at(id).extent.length; }

// --- what earlier sequences left
// ---------------------------------------------------------------------------------

Reuse Cache::begin(SequenceId id, const Prompt& prompt) {
  Sequence& sequence = at(id);
  assert(sequence.extent.length == 0 && !sequence.has_prompt);
  if (prompt.forgets) let_forget(id);
  // What attention said of pages is not kept with them.
  const bool computes_all = options_.contiguous || (prompt.forgets && goes_by_attention(options_.eviction.policy));
  index_.drop_expired(now_ms());
  const int most = computes_all ? 0 : std::min(prompt.most_reused, room_tokens(id));
  Found found = index_.find(prompt.salt, prompt.tokens, most, prompt.approximate_windows);
  index_.count_use(found);
  if (found.replay_from >= 0 && !adopt_for_replay(id, found)) {
    found = index_.find(prompt.salt, prompt.tokens, found.replay_from);  // no room: what is there without
  }
  if (found.replay_from < 0) adopt(id, found, found.reuse.tokens);

  sequence.has_prompt = true;
  sequence.salt = prompt.salt;
  sequence.terms = prompt.terms;
  if (computes_all) found.reuse.reason = MissReason::off;
  if (!found.reuse.exact || sequence.forgets || options_.contiguous) sequence.terms.keep = Keep::none;
  sequence.tokens.reserve(static_cast<size_t>(options_.context_tokens));
  const auto begin = prompt.tokens.begin();
  sequence.tokens.assign(begin, begin + sequence.extent.length);
  for (const int position : prompt.boundaries) mark(id, position, BoundaryKind::message);
  if (found.reuse.matched < static_cast<int>(prompt.tokens.size())) mark(id, found.reuse.matched, BoundaryKind::branch);
  // A window serves the prompt without its last token too; a state serves one position.
  const int prompt_tokens = static_cast<int>(prompt.tokens.size());
  mark(id, states_.empty() ? prompt_tokens : prompt_tokens - 1, BoundaryKind::prompt);
  return found.reuse;
}

int Cache::known_tokens(const Prompt& prompt) {
  const Found found = index_.find(prompt.salt, prompt.tokens, prompt.most_reused);
  return found.replay_from < 0 ? found.reuse.tokens : 0;
}

void Cache::adopt(SequenceId id, const Found& found, int length) {
  if (length == 0) return;
  size_t windowed = 0, whole = 0;
  for (const auto& group : groups_) {
    const int first = first_readable(group->spec().window, length) / kPageTokens;
    PageTable& pages = group->begin(index_of(id), first);
    for (int page = first; page < end_page(length); ++page) {
      const PageRef& known =
          group->has_window() ? page_served(found.runs[windowed], page, length) : page_on_path(found.match, whole, page, length);
      pages.append(known.hold());
    }
    ++(group->has_window() ? windowed : whole);
  }
  for (size_t i = 0; i < states_.size(); ++i) states_[i]->begin(index_of(id), found.state->states[i].hold());
  at(id).extent = {length, length, length};
}

// Groups without a window get all pages that are known; those with one begin empty: what the first rows read
// before the beginning is zeros, which is wrong and, where replay is long enough, without consequence.
bool Cache::adopt_for_replay(SequenceId id, const Found& found) {
  const int from = found.replay_from, kept = from + found.reuse.replayed;
  const auto first_of = [from](const Group& group) { return first_readable(group.spec().window, from) / kPageTokens; };
  size_t whole = 0;
  for (const auto& group : groups_) {  // first, so that making room cannot take them away
    if (group->has_window()) continue;
    PageTable& pages = group->begin(index_of(id), 0);
    for (int page = 0; page < end_page(kept); ++page) pages.append(page_on_path(found.match, whole, page, kept).hold());
    ++whole;
  }
  const auto missing = [&](size_t i) {
    return i < groups_.size() && groups_[i]->has_window() ? end_page(from) - first_of(*groups_[i]) : 0;
  };
  if (!make_room(missing)) {
    for (const auto& group : groups_) group->release(index_of(id));
    return false;
  }
  for (const auto& group : groups_) {
    if (!group->has_window()) continue;
    PageTable& pages = group->begin(index_of(id), first_of(*group));
    for (int page = first_of(*group); page < end_page(from); ++page) pages.append(*group->pool().take());
  }
  at(id).extent = {from, kept, from};
  at(id).restored = kept;
  return true;
}

void Cache::mark(SequenceId id, int position, BoundaryKind kind) {
  Sequence& sequence = at(id);
  if (position <= sequence.extent.length || sequence.terms.keep == Keep::none) return;
  const auto there = std::ranges::lower_bound(sequence.marks, position, {}, &Mark::position);
  if (there != sequence.marks.end() && there->position == position) {
    there->kind = std::max(there->kind, kind);
  } else {
    sequence.marks.insert(there, {position, kind});
  }
}

// REQUIRES the pages that queries at `position` read still held.
void Cache::pin(SequenceId id, int position, BoundaryKind kind) {
  const Sequence& sequence = at(id);
  SequencePages pages;
  for (const auto& group : groups_) {
    (group->has_window() ? pages.windowed : pages.whole).push_back(&group->table(index_of(id)));
  }
  for (const auto& states : states_) pages.states.push_back(&states->page(index_of(id)));
  index_.pin(sequence.salt, std::span(sequence.tokens).first(static_cast<size_t>(position)), pages, kind, sequence.terms, now_ms());
}

int Cache::tokens_to_boundary(SequenceId id) const {
  const Sequence& sequence = at(id);
  const int length = sequence.extent.length;
  int next = options_.context_tokens;
  if (sequence.has_prompt && sequence.terms.keep != Keep::none) {
    next = std::min(next, next_spaced(length, spacing_tokens_));
    if (!sequence.marks.empty()) next = std::min(next, sequence.marks.front().position);
  }
  return next - length;
}

// Boundaries up to the new length, before the pages behind it are given back. While windows are being
// restored they are not what a boundary needs; and a state is that of the new length.
void Cache::pin_passed(SequenceId id, int length) {
  Sequence& sequence = at(id);
  const int before = sequence.extent.length;
  const auto pin_if_true = [&](int position, BoundaryKind kind) {
    if (position >= sequence.extent.kept && (states_.empty() || position == length)) pin(id, position, kind);
  };
  for (int spaced = next_spaced(before, spacing_tokens_); spaced <= length; spaced = next_spaced(spaced, spacing_tokens_)) {
    pin_if_true(spaced, BoundaryKind::spaced);
  }
  size_t passed = 0;
  for (; passed < sequence.marks.size() && sequence.marks[passed].position <= length; ++passed) {
    pin_if_true(sequence.marks[passed].position, sequence.marks[passed].kind);
  }
  sequence.marks.erase(sequence.marks.begin(), sequence.marks.begin() + static_cast<ptrdiff_t>(passed));
}

void Cache::retire(SequenceId id) {
  const Sequence& sequence = at(id);
  const bool keeps = sequence.has_prompt && sequence.terms.keep != Keep::none;
  if (keeps && sequence.extent.length > 0 && sequence.extent.length >= sequence.extent.kept) {
    pin(id, sequence.extent.length, BoundaryKind::end);
  }
  release(id);
}

void Cache::forget() { index_.drop_all(); }

// --- growth
// ------------------------------------------------------------------------------------------------------

bool Cache::has_room(std::span<const int> pages) const {
  int64_t bytes = used_bytes();
  for (size_t i = 0; i < pools_.size(); ++i) {
    if (pages[i] > pools_[i]->free_pages()) return false;
    bytes += pages[i] * pools_[i]->page_bytes();
  }
  return bytes <= limit_bytes_;
}

bool Cache::make_room(const std::function<int(size_t pool)>& missing) {
  while (true) {
    for (size_t i = 0; i < pools_.size(); ++i) missing_[i] = missing(i);
    if (has_room(missing_)) break;
    if (index_.drop_least(now_ms())) continue;
    if (index_.empty()) return false;
    index_.drop_all();  // pages that sequences hold as well: without keepers they need no copy
  }
  keep_within_memory(missing_);
  return true;
}

// Free pages of one group may still have memory that another group now needs.
void Cache::keep_within_memory(std::span<const int> pages) {
  int64_t bytes = resident_bytes();
  for (size_t i = 0; i < pools_.size(); ++i) {
    bytes += std::max(0, pages[i] - pools_[i]->free_resident_pages()) * pools_[i]->page_bytes();
  }
  for (size_t i = 0; i < pools_.size() && bytes > limit_bytes_; ++i) {
    PagePool& pool = *pools_[i];
    const int spare = std::max(0, pool.free_resident_pages() - pages[i]);
    const auto excess = static_cast<int>((bytes - limit_bytes_ + pool.page_bytes() - 1) / pool.page_bytes());
    bytes -= pool.return_memory(std::min(spare, excess)) * pool.page_bytes();
  }
}

bool Cache::reserve(SequenceId id, int tokens) {
  Sequence& sequence = at(id);
  assert(tokens > 0 && tokens <= options_.chunk_tokens);
  assert(sequence.extent.length <= options_.context_tokens - tokens && tokens <= room_tokens(id));
  const int end = sequence.extent.length + tokens;
  const auto missing = [&](size_t i) {
    if (i >= groups_.size()) return states_[i - groups_.size()]->pages_missing(index_of(id));
    const int gone = groups_[i]->forgotten(index_of(id));
    return groups_[i]->pages_missing(index_of(id), sequence.extent.without(gone), end - gone);
  };
  if (!make_room(std::cref(missing))) return false;
  for (const auto& group : groups_) {
    const int gone = group->forgotten(index_of(id));
    group->extend(index_of(id), sequence.extent.without(gone), end - gone);
  }
  for (const auto& states : states_) states->make_writable(index_of(id));
  sequence.extent.reserved_end = std::max(sequence.extent.reserved_end, end);
  return true;
}

void Cache::advance(SequenceId id, int tokens) {
  Sequence& sequence = at(id);
  Extent& extent = sequence.extent;
  assert(tokens >= 0 && tokens <= extent.reserved_end - extent.length);
  extent.length += tokens;
  extent.kept = std::max(extent.kept, extent.length);
  for (const auto& group : groups_) group->give_back_unreadable(index_of(id), extent.length - group->forgotten(index_of(id)));
  if (options_.contiguous) sequence.restored = std::max(sequence.restored, extent.length - options_.rollback_tokens);
}

void Cache::commit(SequenceId id, std::span<const int32_t> tokens) {
  Sequence& sequence = at(id);
  assert(sequence.has_prompt);
  sequence.tokens.insert(sequence.tokens.end(), tokens.begin(), tokens.end());
  if (sequence.terms.keep != Keep::none) pin_passed(id, sequence.extent.length + static_cast<int>(tokens.size()));
  advance(id, static_cast<int>(tokens.size()));
}

void Cache::commit(SequenceId id, int tokens) {
  assert(!at(id).has_prompt);
  advance(id, tokens);
}

std::optional<SequenceId> Cache::fork(SequenceId id) {
  const std::optional<SequenceId> child = create();
  if (!child) return std::nullopt;
  const Sequence& parent = at(id);
  assert(parent.extent.kept == parent.extent.length);
  const int length = parent.extent.length;
  Sequence& copy = at(*child);
  copy = parent;
  copy.extent = {length, length, length};
  for (const auto& group : groups_) group->fork(index_of(id), index_of(*child), length - group->forgotten(index_of(id)));
  for (const auto& states : states_) states->fork(index_of(id), index_of(*child));
  return child;
}

bool Cache::roll_back(SequenceId id, int length) {
  Sequence& sequence = at(id);
  assert(length >= 0 && length <= sequence.extent.length && sequence.extent.kept == sequence.extent.length);
  if (length < sequence.restored || (!states_.empty() && length < sequence.extent.length)) return false;
  for (const auto& group : groups_) {
    if (!group->can_roll_back(index_of(id), length - group->forgotten(index_of(id)))) return false;
  }
  for (const auto& group : groups_) group->roll_back(index_of(id), length - group->forgotten(index_of(id)));
  if (sequence.has_prompt) sequence.tokens.resize(static_cast<size_t>(length));
  sequence.extent = {length, length, length};
  return true;
}

// --- looking
// -----------------------------------------------------------------------------------------------------

kernels::KvPages Cache::view(SequenceId id, const LayerPlace& place) const {
  assert(at(id).live);
  if (const StaticGroup* group = place.contiguous) return group->view(place.member, at(id).extent.length, at(id).extent.reserved_end);
  kernels::KvPages pages = place.group->view(index_of(id), place.offset);
  if (!place.group->has_window()) pages.first_writable = at(id).extent.kept - place.group->forgotten(index_of(id));
  return pages;
}

kernels::KvPages Cache::view(SequenceId id, int layer) const { return view(id, place(layer)); }
kernels::KvPages Cache::newest_view(SequenceId id, int layer) const { return view(id, newest_place(layer)); }

float* Cache::state(SequenceId id, int layer) const {
  const LayerPlace& place = places_[static_cast<size_t>(layer)];
  assert(at(id).live && place.states);
  return reinterpret_cast<float*>(place.states->state(index_of(id), place.offset));
}

const kernels::KvLayout& Cache::layout(int layer) const { return place(layer).spec->layout; }
const kernels::KvLayout& Cache::newest_layout(int layer) const { return newest_place(layer).spec->layout; }

int Cache::newest_tokens(int layer) const {
  const GroupSpec* spec = newest_places_[static_cast<size_t>(layer)].spec;
  return spec ? spec->window : 0;
}

std::vector<GroupStats> Cache::stats() const {
  std::vector<GroupStats> all;
  all.reserve(groups_.size() + contiguous_.size());
  for (const auto& group : groups_) all.push_back(group->stats());
  for (const auto& group : contiguous_) all.push_back(group->stats());
  for (const auto& states : states_) all.push_back(states->stats());
  return all;
}

int64_t Cache::used_bytes() const {
  int64_t bytes = 0;
  for (const auto& group : contiguous_) bytes += group->bytes();
  for (const PagePool* pool : pools_) bytes += (pool->held_pages() + pool->idle_pages()) * pool->page_bytes();
  return bytes;
}

int64_t Cache::resident_bytes() const {
  int64_t bytes = 0;
  for (const auto& group : contiguous_) bytes += group->bytes();
  for (const PagePool* pool : pools_) bytes += pool->resident_pages() * pool->page_bytes();
  return bytes;
}

int64_t Cache::now_ms() const {
  if (options_.clock_ms) return options_.clock_ms();
  using std::chrono::steady_clock;
  return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now().time_since_epoch()).count();
}

const Cache::LayerPlace& Cache::place(int layer) const {
  const LayerPlace& found = places_[static_cast<size_t>(layer)];
  assert(found.group || found.contiguous);
  return found;
}

const Cache::LayerPlace& Cache::newest_place(int layer) const {
  const LayerPlace& found = newest_places_[static_cast<size_t>(layer)];
  assert(found.group || found.contiguous);
  return found;
}

const Cache::Sequence& Cache::at(SequenceId id) const {
  const Sequence& sequence = sequences_[static_cast<size_t>(index_of(id))];
  assert(sequence.live);
  return sequence;
}

Cache::Sequence& Cache::at(SequenceId id) {
  Sequence& sequence = sequences_[static_cast<size_t>(index_of(id))];
  assert(sequence.live);
  return sequence;
}

}  // namespace fovea::kv
