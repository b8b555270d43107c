// A fixed number of equal pages, lent by reference count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "kv/page_memory.h"

namespace fovea::kv {

using PageId = int;  // [0, capacity) of one pool

class PageRef;

// Two kinds of holders are told apart: sequences *hold* pages that they compute with, and whoever *keeps* a
// page only wants it to be there for requests to come.
//
//   owner      the pool owns the bytes; a PageRef owns one count and must not outlive the pool
//   invariant  free + idle + held == capacity after every public call: a page is held iff a sequence holds
//   it, idle
//              iff it is only kept
//   contents   a page is all zeros when it is lent: no sequence sees another's bytes, and attention, which
//              multiplies slots not yet written by zero, finds numbers there
//   memory     pages given back are lent again before untouched ones, so resident memory follows the most
//              pages ever held at once; AddressSanitizer reports whoever touches a free page
//   threads    one at a time; the bytes of different pages are independent
class PagePool {
 public:
  PagePool(int64_t page_bytes, int capacity);  // REQUIRES page_bytes a positive multiple of 64, capacity > 0
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  std::optional<PageRef> take();  // nullopt: all pages are held

  int64_t page_bytes() const { return page_bytes_; }
  int capacity_pages() const { return static_cast<int>(counts_.size()); }
  int held_pages() const { return held_; }
  int idle_pages() const { return idle_; }
  int kept_pages() const { return kept_; }  // idle ones, and those that are held as well
  int free_pages() const { return capacity_pages() - held_ - idle_; }
  int peak_held_pages() const { return peak_held_; }
  int holders(PageId page) const { return counts_[static_cast<size_t>(page)].holders; }
  int keepers(PageId page) const { return counts_[static_cast<size_t>(page)].keepers; }
  int64_t reserved_bytes() const { return static_cast<int64_t>(memory_.size()); }  // of addresses

  // Pages whose memory the operating system has given us: all that were lent, less those returned.
  int resident_pages() const { return untouched_ - static_cast<int>(returned_.size()); }
  // Pages that take() would lend without more memory from the operating system.
  int free_resident_pages() const { return static_cast<int>(given_back_.size()); }
  // Returns the memory of up to `pages` free pages to the operating system; says how many.
  int return_memory(int pages);

  // Recounts from scratch; throws std::logic_error naming what does not hold.
  void check() const;

 private:
  friend class PageRef;
  std::byte* data(PageId page) const { return memory_.data() + page * page_bytes_; }
  void retain(PageId page, bool keeps);
  void release(PageId page, bool keeps);
  void count(PageId page, int by);  // adds the page to what is held, idle and kept, by its counts, `by` times
  PageId take_id();

  struct Counts {
    int holders = 0, keepers = 0;
    int total() const { return holders + keepers; }
  };

  int64_t page_bytes_;
  PageMemory memory_;
  std::vector<Counts> counts_;      // per page
  std::vector<PageId> given_back_;  // free pages that were lent before, the newest last
  std::vector<PageId> returned_;    // likewise, without memory
  PageId untouched_ = 0;            // free pages that were never lent: [untouched_, capacity)
  int held_ = 0;
  int idle_ = 0;
  int kept_ = 0;
  int peak_held_ = 0;
};

// While it lives, the page is not lent to somebody else.
class PageRef {
 public:
  PageRef(PageRef&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), page_(other.page_), keeps_(other.keeps_) {}
  PageRef& operator=(PageRef&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(page_, other.page_);
    std::swap(keeps_, other.keeps_);
    return *this;
  }
  ~PageRef() {
    if (pool_) pool_->release(page_, keeps_);
  }

  PageRef hold() const { return PageRef(*pool_, page_, false); }  // another reference to the same page, of a sequence
  PageRef keep() const { return PageRef(*pool_, page_, true); }   // likewise, of somebody who keeps it

  PageId id() const { return page_; }
  std::byte* data() const { return pool_->data(page_); }  // page_bytes() bytes on a cache-line boundary
  bool shared() const { return pool_->holders(page_) + pool_->keepers(page_) > 1; }
  const PagePool& pool() const { return *pool_; }

 private:
  friend class PagePool;
  PageRef(PagePool& pool, PageId page, bool keeps) : pool_(&pool), page_(page), keeps_(keeps) { pool.retain(page, keeps); }

  PagePool* pool_;
  PageId page_;
  bool keeps_;
};

}  // namespace fovea::kv
