// The pages of one sequence in one group, by absolute page index (position / kPageTokens).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "kv/page_pool.h"

namespace fovea::kv {

//   owner    one reference per page in [first_page, end_page)
//   cost     append is O(1) amortised, drop_before O(pages dropped); neither allocates while at most as many
//            pages are held as were named to reserve()
//   threads  one at a time
class PageTable {
 public:
  // Room for `pages` pages held at once. `sliding`: pages will be dropped at the front while others are
  // appended.
  void reserve(int pages, bool sliding);

  void start_at(int page);  // REQUIRES an empty table
  void append(PageRef page);
  void replace(int page, PageRef by);      // REQUIRES first_page <= page < end_page
  void drop_from(int page);                // gives back [page, end_page)
  void drop_before(int page);              // REQUIRES page <= end_page()
  void erase(std::span<const int> pages);  // ascending, held; those behind move up
  void renumber(int first_page);           // the same pages, counted from here
  void clear();                            // gives everything back and starts over at page 0

  int first_page() const { return first_page_; }
  int page_count() const { return static_cast<int>(refs_.size() - dropped_); }
  int end_page() const { return first_page_ + page_count(); }
  const PageRef& page(int page) const { return *refs_[dropped_ + static_cast<size_t>(page - first_page_)]; }
  // Addresses of pages first_page, first_page + 1, ...; stay in place until the next change.
  std::byte* const* addresses() const { return addresses_.data() + dropped_; }

 private:
  void forget_dropped();

  std::vector<std::optional<PageRef>> refs_;  // empty below dropped_
  std::vector<std::byte*> addresses_;         // of refs_, in the form that kernels read
  size_t dropped_ = 0;                        // leading entries that were given back
  int first_page_ = 0;                        // of entry dropped_
};

}  // namespace fovea::kv
