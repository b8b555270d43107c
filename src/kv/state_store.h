// States of fixed size, one per sequence and layer of a group.
#pragma once

#include <cstddef>

#include "base/large_bytes.h"
#include "kv/spec.h"

namespace fovea::kv {

//   owner    the memory, reserved at construction; addresses stay
//   threads  one at a time; kernels write a sequence's states while a step runs
class StateStore {
 public:
  StateStore(GroupSpec spec, int sequences);  // REQUIRES spec.state_bytes > 0

  void clear(int sequence);  // all zero
  void copy(int from, int to);
  std::byte* state(int sequence, size_t layer_offset) const;

  const GroupSpec& spec() const { return spec_; }
  int64_t reserved_bytes() const { return static_cast<int64_t>(memory_.size()); }

 private:
  GroupSpec spec_;
  size_t sequence_bytes_;
  mutable LargeBytes memory_;
};

}  // namespace fovea::kv
