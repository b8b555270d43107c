// One group of layers: its pool of pages, and the page table of every sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/kv_layout.h"
#include "kv/eviction.h"
#include "kv/page_pool.h"
#include "kv/page_table.h"
#include "kv/spec.h"

namespace fovea::kv {

struct GroupStats {
  int window = kWholePast;
  int layers = 0;
  int64_t state_bytes = 0;  // > 0: a page is the state of a sequence (GroupSpec::state_bytes)
  int64_t page_bytes = 0;
  int held_pages = 0;    // by sequences
  int idle_pages = 0;    // only kept for requests to come
  int pinned_pages = 0;  // kept for requests to come, whether a sequence holds them too or not
  int capacity_pages = 0;
  int peak_held_pages = 0;  // most ever held at once
};
GroupStats stats_of(const PagePool& pool);  // what the pool knows of it

// What a group needs to know of a sequence. Positions [0, length) are computed. Those of groups without a
// window may be there before, up to `kept`, while positions below are computed again for the groups with one.
struct Extent {
  int length = 0;
  int kept = 0;          // >= length
  int reserved_end = 0;  // >= length

  // As a group sees it that forgot so many positions.
  Extent without(int forgotten) const { return {length - forgotten, kept - forgotten, reserved_end - forgotten}; }
};

// Sequences are numbered [0, options.sequences) by the cache.
// Positions are those among the keys that are held: a sequence that forgot is so much shorter here.
//
//   invariant  of the pages up to its last reserved position, a sequence holds exactly those that a query at
//              its length (less what can be rolled back) or later can read
//   threads    one at a time
class Group {
 public:
  Group(GroupSpec spec, const CacheOptions& options);

  bool has_window() const { return spec_.window != kWholePast; }

  // Pages that writing positions up to `end` needs beyond those held, among them a private copy of the page
  // of the first position to be written if others share it.
  int pages_missing(int sequence, const Extent& extent, int end) const;
  void extend(int sequence, const Extent& extent, int end);  // REQUIRES pages_missing() free pages
  void give_back_unreadable(int sequence, int length);       // what no query at `length` or later can read
  void release(int sequence);

  // First page that a sequence of this length holds.
  int first_page(int length) const;
  // Whether `length` positions can be gone back to: the pages that queries there read are held.
  bool can_roll_back(int sequence, int length) const;
  void roll_back(int sequence, int length);  // REQUIRES can_roll_back
  // `to`, which holds nothing, shares the pages of `from` that `length` positions need.
  void fork(int from, int to, int length);
  // --- what a sequence forgets; pages are numbered as they are held, and those behind move up

  const std::optional<EvictionPages>& forgetting() const { return forgetting_; }
  // Positions that are not there any more.
  int forgotten(int sequence) const { return forgotten_[static_cast<size_t>(sequence)]; }
  // Whether a sequence of this length holds its budget.
  bool is_full(int sequence, int length) const {
    return forgetting_ && length - forgotten(sequence) == forgetting_->budget * kernels::kPageTokens;
  }
  // Pages that evict() needs beyond those held.
  int pages_to_evict(int sequence) const;
  // Of a full sequence, an interval goes. Copied sinks hold again what was computed, in copies of the sequence's own, for
  // keys to be moved in. REQUIRES pages_to_evict() free pages.
  void evict(int sequence, int length);
  // Positions, from the first, whose keys are as computed and to be moved by forgotten(): right after evict(), of a sequence
  // that has not grown since; 0 at any other time.
  int moved_sinks(int sequence, int length) const;
  // How much each page held was attended to (kernels/attention.h); null where nobody asks.
  int64_t* attended(int sequence) const;

  // Pages from `first` on that are shared, and copies of them for the sequence's own.
  int shared_pages(int sequence, int first) const;
  void own_pages(int sequence, int first);  // REQUIRES shared_pages() free pages
  // Positions from (keep + drop) pages on become those from `keep` pages on; what lay between is forgotten.
  void shift(int sequence, int keep, int drop);

  // The sequence, which holds nothing, begins at this page with the pages appended.
  PageTable& begin(int sequence, int first_page);

  kernels::KvPages view(int sequence, size_t layer_offset) const;
  const GroupSpec& spec() const { return spec_; }
  PagePool& pool() { return pool_; }
  const PagePool& pool() const { return pool_; }
  const PageTable& table(int sequence) const { return tables_[static_cast<size_t>(sequence)]; }
  GroupStats stats() const;

  // Throw std::logic_error when the invariant, or the pool's, does not hold.
  void check_sequence(int sequence, const Extent& extent) const;
  // kept: per page, how many keep it.
  void check_pool(const std::vector<int>& kept) const;

 private:
  void forget(int sequence, std::span<const int> pages);
  std::vector<int> victims(int sequence, int length);
  void copy_sinks(int sequence);
  void forget_attention(int sequence);
  // The page that the first position to be written shares with others; -1: none.
  int page_to_copy(int sequence, const Extent& extent) const;
  void replace_by_copy(int sequence, int page);  // REQUIRES a free page
  void stand_where_computed(int sequence);
  int first_written(const Extent& extent) const { return has_window() ? extent.length : extent.kept; }
  PageTable& pages_of(int sequence) { return tables_[static_cast<size_t>(sequence)]; }

  GroupSpec spec_;
  int rollback_tokens_;
  EvictionPolicy policy_;
  std::optional<EvictionPages> forgetting_;
  PagePool pool_;
  std::vector<PageTable> tables_;                       // per sequence; after pool_, whose pages they hold
  std::vector<int> forgotten_;                          // per sequence
  std::vector<std::vector<PageRef>> sinks_;             // per sequence, as computed, once copies of them were moved
  mutable std::vector<std::vector<int64_t>> attended_;  // per sequence and page; written by steps
  // Per sequence and page, the position that its first key was computed at, as KvPages::stand_at has it and as windows need to
  // know; empty where nobody asks.
  std::vector<std::vector<int32_t>> stand_at_;
};

}  // namespace fovea::kv
