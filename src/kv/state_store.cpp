#include "kv/state_store.h"

#include <cassert>
#include <cstring>
#include <utility>

#include "kv/formula.h"

namespace fovea::kv {

StateStore::StateStore(GroupSpec spec, int sequences)
    : spec_(std::move(spec)),
      sequence_bytes_(static_cast<size_t>(page_bytes(spec_))),
      memory_(sequence_bytes_ * static_cast<size_t>(sequences)) {
  assert(spec_.state_bytes > 0 && sequences > 0);
}

void StateStore::clear(int sequence) { std::memset(state(sequence, 0), 0, sequence_bytes_); }

void StateStore::copy(int from, int to) { std::memcpy(state(to, 0), state(from, 0), sequence_bytes_); }

std::byte* StateStore::state(int sequence, size_t layer_offset) const {
  return memory_.data() + static_cast<size_t>(sequence) * sequence_bytes_ + layer_offset;
}

}  // namespace fovea::kv
