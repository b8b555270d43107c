// One group of layers for the one sequence that there is, set aside as a whole: what paged groups are measured against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kv/group.h"
#include "kv/page_memory.h"
#include "kv/spec.h"

namespace fovea::kv {

// Each layer has one stretch of memory for as many pages as a sequence can hold (kv/formula.h); windows go round in it.
//   owner    the bytes, resident from construction on
//   threads  immutable after construction, but for the bytes, which steps write
class StaticGroup {
 public:
  StaticGroup(GroupSpec spec, const CacheOptions& options);

  void clear();  // all zero, as pages are when they are lent
  // The pages that queries at `length` or later read, and that positions up to `reserved_end` are written to.
  kernels::KvPages view(size_t layer, int length, int reserved_end) const;

  const GroupSpec& spec() const { return spec_; }
  int64_t bytes() const { return static_cast<int64_t>(memory_.size()); }
  GroupStats stats() const;

 private:
  GroupSpec spec_;
  int pages_;  // of a layer
  int rollback_tokens_;
  PageMemory memory_;
  std::vector<std::byte*> addresses_;  // [layer][2 * pages_]: twice round, so that a view is a piece of it
};

}  // namespace fovea::kv
