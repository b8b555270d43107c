#include "kv/page_table.h"

#include <cassert>
#include <utility>

namespace fovea::kv {

void PageTable::reserve(int pages, bool sliding) {
  // Twice the room lets at least `pages` appends pass between two moves of at most `pages` entries.
  const size_t room = static_cast<size_t>(pages) * (sliding ? 2 : 1);
  refs_.reserve(room);
  addresses_.reserve(room);
}

void PageTable::append(PageRef page) {
  if (refs_.size() == refs_.capacity() && dropped_ > 0) forget_dropped();
  addresses_.push_back(page.data());
  refs_.emplace_back(std::move(page));
}

void PageTable::start_at(int page) {
  assert(refs_.empty());
  first_page_ = page;
}

void PageTable::replace(int page, PageRef by) {
  const size_t at = dropped_ + static_cast<size_t>(page - first_page_);
  addresses_[at] = by.data();
  refs_[at] = std::move(by);
}

void PageTable::drop_from(int page) {
  while (end_page() > page && page_count() > 0) {
    refs_.pop_back();
    addresses_.pop_back();
  }
}

void PageTable::drop_before(int page) {
  assert(page <= end_page());
  for (; first_page_ < page; ++first_page_) refs_[dropped_++].reset();
}

void PageTable::erase(std::span<const int> pages) {
  size_t to = dropped_, next = 0;
  for (size_t from = dropped_; from < refs_.size(); ++from) {
    const int page = first_page_ + static_cast<int>(from - dropped_);
    if (next < pages.size() && pages[next] == page) {
      ++next;
      continue;
    }
    if (to != from) {
      refs_[to] = std::move(refs_[from]);
      addresses_[to] = addresses_[from];
    }
    ++to;
  }
  assert(next == pages.size());
  refs_.resize(to);
  addresses_.resize(to);
}

void PageTable::renumber(int first_page) { first_page_ = first_page; }

void PageTable::clear() {
  refs_.clear();
  addresses_.clear();
  dropped_ = 0;
  first_page_ = 0;
}

void PageTable::forget_dropped() {
  refs_.erase(refs_.begin(), refs_.begin() + static_cast<ptrdiff_t>(dropped_));
  addresses_.erase(addresses_.begin(), addresses_.begin() + static_cast<ptrdiff_t>(dropped_));
  dropped_ = 0;
}

}  // namespace fovea::kv
