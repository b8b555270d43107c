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

//   owner      the pool owns the bytes; a PageRef owns one count and must not outlive the pool
//   invariant  free + held == capacity after every public call; a page is held iff its count is above zero
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
  int capacity_pages() const { return static_cast<int>(references_.size()); }
  int held_pages() const { return held_; }
  int free_pages() const { return capacity_pages() - held_; }
  int peak_held_pages() const { return peak_held_; }
  int references(PageId page) const { return references_[static_cast<size_t>(page)]; }
  int64_t reserved_bytes() const { return static_cast<int64_t>(memory_.size()); }

  // Recounts from scratch; throws std::logic_error naming what does not hold.
  void check() const;

 private:
  friend class PageRef;
  std::byte* data(PageId page) const { return memory_.data() + page * page_bytes_; }
  void retain(PageId page) { ++references_[static_cast<size_t>(page)]; }
  void release(PageId page);
  PageId take_id();

  int64_t page_bytes_;
  PageMemory memory_;
  std::vector<int> references_;     // per page
  std::vector<PageId> given_back_;  // free pages that were lent before, the newest last
  PageId untouched_ = 0;            // free pages that were never lent: [untouched_, capacity)
  int held_ = 0;
  int peak_held_ = 0;
};

// Holding it is what keeps a page from being lent to somebody else.
class PageRef {
 public:
  PageRef(PageRef&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), page_(other.page_) {}
  PageRef& operator=(PageRef&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(page_, other.page_);
    return *this;
  }
  ~PageRef() {
    if (pool_) pool_->release(page_);
  }

  // A second holder of the same page.
  PageRef share() const { return PageRef(*pool_, page_); }

  PageId id() const { return page_; }
  std::byte* data() const { return pool_->data(page_); }  // page_bytes() bytes on a cache-line boundary

 private:
  friend class PagePool;
  PageRef(PagePool& pool, PageId page) : pool_(&pool), page_(page) { pool.retain(page); }

  PagePool* pool_;
  PageId page_;
};

}  // namespace fovea::kv
