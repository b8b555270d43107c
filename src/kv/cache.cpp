#include "kv/cache.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <utility>

#include "kv/formula.h"

namespace fovea::kv {
namespace {

int index_of(SequenceId id) { return static_cast<int>(id); }

}  // namespace

Cache::Cache(std::vector<GroupSpec> groups, const CacheOptions& options)
    : options_(options), sequences_(static_cast<size_t>(options.sequences)) {
  assert(options.context_tokens > 0 && options.chunk_tokens > 0 && options.sequences > 0);
  assert(options.total_tokens == 0 || options.total_tokens >= options.context_tokens);
  for (GroupSpec& spec : groups) {
    groups_.push_back(std::make_unique<Group>(std::move(spec), options));
    place_layers(*groups_.back());
  }
}

void Cache::place_layers(const Group& group) {
  size_t offset = 0;
  for (const int layer : group.spec().layers) {
    places_.resize(std::max(places_.size(), static_cast<size_t>(layer) + 1));
    LayerPlace& place = places_[static_cast<size_t>(layer)];
    assert(!place.group);
    place = {&group, offset};
    offset += layer_stride_bytes(group.spec());
  }
}

std::optional<SequenceId> Cache::create() {
  const auto unused = std::ranges::find(sequences_, false, &Sequence::live);
  if (unused == sequences_.end()) return std::nullopt;
  *unused = {.live = true};
  return static_cast<SequenceId>(unused - sequences_.begin());
}

void Cache::release(SequenceId id) {
  at(id) = {};
  for (const auto& group : groups_) group->release(index_of(id));
}

int Cache::length(SequenceId id) const { return at(id).length; }

bool Cache::reserve(SequenceId id, int tokens) {
  Sequence& sequence = at(id);
  assert(tokens > 0 && tokens <= options_.chunk_tokens);
  assert(sequence.length <= options_.context_tokens - tokens);
  const int end = sequence.length + tokens;
  for (const auto& group : groups_) {
    if (group->pages_missing(index_of(id), end) > group->free_pages()) return false;
  }
  for (const auto& group : groups_) group->extend(index_of(id), end);
  sequence.reserved_end = std::max(sequence.reserved_end, end);
  return true;
}

void Cache::commit(SequenceId id, int tokens) {
  Sequence& sequence = at(id);
  assert(tokens >= 0 && tokens <= sequence.reserved_end - sequence.length);
  sequence.length += tokens;
  for (const auto& group : groups_) group->give_back_unreadable(index_of(id), sequence.length);
}

kernels::KvPages Cache::view(SequenceId id, int layer) const {
  assert(at(id).live);
  return place(layer).group->view(index_of(id), place(layer).offset);
}

const kernels::KvLayout& Cache::layout(int layer) const { return place(layer).group->spec().layout; }

std::vector<GroupStats> Cache::stats() const {
  std::vector<GroupStats> all;
  all.reserve(groups_.size());
  for (const auto& group : groups_) all.push_back(group->stats());
  return all;
}

int64_t Cache::reserved_bytes() const {
  int64_t bytes = 0;
  for (const auto& group : groups_) bytes += group->reserved_bytes();
  return bytes;
}

void Cache::check() const {
  for (const Sequence& sequence : sequences_) {
    if (!sequence.live && (sequence.length != 0 || sequence.reserved_end != 0)) {
      throw std::logic_error("cache: a released sequence still has a length");
    }
    if (sequence.length > sequence.reserved_end || sequence.reserved_end > options_.context_tokens) {
      throw std::logic_error("cache: a sequence is longer than what was reserved, or than the context");
    }
  }
  for (const auto& group : groups_) {
    for (size_t i = 0; i < sequences_.size(); ++i) {
      group->check_sequence(static_cast<int>(i), sequences_[i].length, sequences_[i].reserved_end);
    }
    group->check_pool();
  }
}

const Cache::LayerPlace& Cache::place(int layer) const {
  const LayerPlace& found = places_[static_cast<size_t>(layer)];
  assert(found.group);
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
