// One group of layers that keep no keys and values but a state of fixed size, carried from position to position.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "kv/group.h"
#include "kv/page_pool.h"
#include "kv/spec.h"

namespace fovea::kv {

// The states of all layers of a sequence are one page, and are those of its newest position only. A boundary keeps the
// page as it is; whoever continues from it writes into a copy.
//
//   invariant  a sequence has a page from its first reserved position on
//   threads    one at a time; kernels write a sequence's states while a step runs
class StateGroup {
 public:
  StateGroup(GroupSpec spec, const CacheOptions& options);  // REQUIRES spec.state_bytes > 0

  // Pages that going on needs: 1 where the sequence has none yet, all zeros then, or shares the one it has.
  int pages_missing(int sequence) const;
  void make_writable(int sequence);  // REQUIRES pages_missing() free pages
  // The sequence, which has no page, goes on from this state.
  void begin(int sequence, PageRef page) { at(sequence) = std::move(page); }
  void fork(int from, int to);
  void release(int sequence) { at(sequence).reset(); }

  bool has_state(int sequence) const { return at(sequence).has_value(); }
  const PageRef& page(int sequence) const { return *at(sequence); }  // REQUIRES has_state()
  std::byte* state(int sequence, size_t layer_offset) const { return page(sequence).data() + layer_offset; }

  const GroupSpec& spec() const { return spec_; }
  PagePool& pool() { return pool_; }
  const PagePool& pool() const { return pool_; }
  GroupStats stats() const;
  // kept: per page, how many keep it. Throws std::logic_error when the invariant, or the pool's, does not hold.
  void check(const std::vector<int>& kept) const;

 private:
  std::optional<PageRef>& at(int sequence) { return pages_[static_cast<size_t>(sequence)]; }
  const std::optional<PageRef>& at(int sequence) const { return pages_[static_cast<size_t>(sequence)]; }

  GroupSpec spec_;
  PagePool pool_;
  std::vector<std::optional<PageRef>> pages_;  // per sequence; after pool_, whose pages they hold
};

}  // namespace fovea::kv
