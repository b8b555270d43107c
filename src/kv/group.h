// One group of layers: its pool of pages, and the page table of every sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kv_layout.h"
#include "kv/page_pool.h"
#include "kv/page_table.h"
#include "kv/spec.h"

namespace fovea::kv {

struct GroupStats {
  int window = kWholePast;
  int layers = 0;
  int64_t page_bytes = 0;
  int held_pages = 0;
  int capacity_pages = 0;
  int peak_held_pages = 0;  // most ever held at once
};

// Sequences are numbered [0, options.sequences) by the cache.
//   invariant  of the pages up to its last reserved position, a sequence holds exactly those that a query at
//              its length or later can read
//   threads    one at a time
class Group {
 public:
  Group(GroupSpec spec, const CacheOptions& options);

  // Pages that positions up to `end` need beyond those held.
  int pages_missing(int sequence, int end) const;
  int free_pages() const { return pool_.free_pages(); }
  void extend(int sequence, int end);  // REQUIRES pages_missing(sequence, end) <= free_pages()
  void give_back_unreadable(int sequence, int length);  // what no query at `length` or later can read
  void release(int sequence);

  kernels::KvPages view(int sequence, size_t layer_offset) const;
  const GroupSpec& spec() const { return spec_; }
  GroupStats stats() const;
  int64_t reserved_bytes() const { return pool_.reserved_bytes(); }

  // Throw std::logic_error when the invariant, or the pool's, does not hold.
  void check_sequence(int sequence, int length, int reserved_end) const;
  void check_pool() const;

 private:
  const PageTable& table(int sequence) const { return tables_[static_cast<size_t>(sequence)]; }
  PageTable& table(int sequence) { return tables_[static_cast<size_t>(sequence)]; }

  GroupSpec spec_;
  PagePool pool_;
  std::vector<PageTable> tables_;  // per sequence; after pool_, whose pages they hold
};

}  // namespace fovea::kv
