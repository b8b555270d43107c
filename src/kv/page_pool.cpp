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

PagePool::PagePool(int64_t page_bytes, int capacity)
    : page_bytes_(page_bytes), memory_(page_bytes, capacity) {
  assert(page_bytes > 0 && page_bytes % static_cast<int64_t>(kCacheLineBytes) == 0 && capacity > 0);
  references_.resize(static_cast<size_t>(capacity));
  given_back_.reserve(static_cast<size_t>(capacity));
  ASAN_POISON_MEMORY_REGION(memory_.data(), memory_.size());
}

PagePool::~PagePool() {
  assert(held_ == 0);
  ASAN_UNPOISON_MEMORY_REGION(memory_.data(), memory_.size());
}

std::optional<PageRef> PagePool::take() {
  if (held_ == capacity_pages()) return std::nullopt;
  ++held_;
  peak_held_ = std::max(peak_held_, held_);
  return PageRef(*this, take_id());
}

PageId PagePool::take_id() {
  const size_t bytes = static_cast<size_t>(page_bytes_);
  if (given_back_.empty()) {  // zeros from the operating system
    ASAN_UNPOISON_MEMORY_REGION(data(untouched_), bytes);
    return untouched_++;
  }
  const PageId page = given_back_.back();
  given_back_.pop_back();
  ASAN_UNPOISON_MEMORY_REGION(data(page), bytes);
  std::memset(data(page), 0, bytes);
  return page;
}

void PagePool::release(PageId page) {
  int& count = references_[static_cast<size_t>(page)];
  assert(count > 0);
  if (--count > 0) return;
  --held_;
  given_back_.push_back(page);
  ASAN_POISON_MEMORY_REGION(data(page), static_cast<size_t>(page_bytes_));
}

void PagePool::check() const {
  std::vector<bool> is_free(references_.size(), false);
  for (PageId page = untouched_; page < capacity_pages(); ++page) is_free[static_cast<size_t>(page)] = true;
  for (const PageId page : given_back_) {
    require(page >= 0 && page < untouched_, "a page was given back that was never lent");
    require(!is_free[static_cast<size_t>(page)], "a page is free twice");
    is_free[static_cast<size_t>(page)] = true;
  }
  int held = 0;
  for (size_t page = 0; page < references_.size(); ++page) {
    require(references_[page] >= 0, "a reference count is below zero");
    require((references_[page] > 0) != is_free[page], "a page is both free and held, or neither");
    held += references_[page] > 0;
  }
  require(held == held_, "held pages were miscounted");
  require(held_ <= peak_held_ && peak_held_ <= capacity_pages(),
          "the peak is below what is held, or above capacity");
}

}  // namespace fovea::kv
