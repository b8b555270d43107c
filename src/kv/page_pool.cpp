#include "kv/page_pool.h"

#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <stdexcept>
#include <string>

#include "base/aligned.h"

namespace fovea::kv {
namespace {

void require(bool holds, const char* invariant) {
  if (!holds) throw std::logic_error(std::string("page pool: ") + invariant);
}

}  // namespace

PagePool::PagePool(int64_t page_bytes, int capacity) : page_bytes_(page_bytes), memory_(page_bytes, capacity) {
  assert(page_bytes > 0 && page_bytes % static_cast<int64_t>(kCacheLineBytes) == 0 && capacity > 0);
  counts_.resize(static_cast<size_t>(capacity));
  given_back_.reserve(static_cast<size_t>(capacity));
  returned_.reserve(static_cast<size_t>(capacity));
  ASAN_POISON_MEMORY_REGION(memory_.data(), memory_.size());
}

PagePool::~PagePool() {
  assert(held_ == 0 && idle_ == 0);
  ASAN_UNPOISON_MEMORY_REGION(memory_.data(), memory_.size());
}

std::optional<PageRef> PagePool::take() {
  if (free_pages() == 0) return std::nullopt;
  return PageRef(*this, take_id(), false);
}

PageId PagePool::take_id() {
  const size_t bytes = static_cast<size_t>(page_bytes_);
  if (given_back_.empty() && returned_.empty()) {  // zeros from the operating system
    ASAN_UNPOISON_MEMORY_REGION(data(untouched_), bytes);
    return untouched_++;
  }
  std::vector<PageId>& from = given_back_.empty() ? returned_ : given_back_;
  const PageId page = from.back();
  from.pop_back();
  ASAN_UNPOISON_MEMORY_REGION(data(page), bytes);
  std::memset(data(page), 0, bytes);
  return page;
}

void PagePool::count(PageId page, int by) {
  const Counts& counts = counts_[static_cast<size_t>(page)];
  if (counts.holders > 0) held_ += by;
  else if (counts.keepers > 0) idle_ += by;
  if (counts.keepers > 0) kept_ += by;
}

void PagePool::retain(PageId page, bool keeps) {
  Counts& counts = counts_[static_cast<size_t>(page)];
  count(page, -1);
  ++(keeps ? counts.keepers : counts.holders);
  count(page, 1);
  peak_held_ = std::max(peak_held_, held_);
}

void PagePool::release(PageId page, bool keeps) {
  Counts& counts = counts_[static_cast<size_t>(page)];
  count(page, -1);
  int& mine = keeps ? counts.keepers : counts.holders;
  assert(mine > 0);
  --mine;
  count(page, 1);
  if (counts.total() > 0) return;
  given_back_.push_back(page);
  ASAN_POISON_MEMORY_REGION(data(page), static_cast<size_t>(page_bytes_));
}

int PagePool::return_memory(int pages) {
  const int count = std::min(pages, free_resident_pages());
  for (int i = 0; i < count; ++i) {
    const PageId page = given_back_.back();
    given_back_.pop_back();
    memory_.return_memory(page * page_bytes_, page_bytes_);
    returned_.push_back(page);
  }
  return count;
}

void PagePool::check() const {
  std::vector<bool> is_free(counts_.size(), false);
  for (PageId page = untouched_; page < capacity_pages(); ++page) is_free[static_cast<size_t>(page)] = true;
  for (const std::vector<PageId>* list : {&given_back_, &returned_}) {
    for (const PageId page : *list) {
      require(page >= 0 && page < untouched_, "a page was given back that was never lent");
      require(!is_free[static_cast<size_t>(page)], "a page is free twice");
      is_free[static_cast<size_t>(page)] = true;
    }
  }
  int held = 0, idle = 0, kept = 0;
  for (size_t page = 0; page < counts_.size(); ++page) {
    const Counts& counts = counts_[page];
    require(counts.holders >= 0 && counts.keepers >= 0, "a reference count is below zero");
    require((counts.total() > 0) != is_free[page], "a page is both free and in use, or neither");
    held += counts.holders > 0;
    idle += counts.holders == 0 && counts.keepers > 0;
    kept += counts.keepers > 0;
  }
  require(held == held_, "held pages were miscounted");
  require(idle == idle_, "idle pages were miscounted");
  require(kept == kept_, "kept pages were miscounted");
  require(held_ <= peak_held_ && peak_held_ <= capacity_pages(), "the peak is below what is held, or above capacity");
}

}  // namespace fovea::kv
