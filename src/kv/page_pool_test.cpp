#include "kv/page_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "fovea/error.h"

namespace fovea::kv {
namespace {

constexpr int64_t kPageBytes = 192;

TEST(PagePool, LendsEveryPageOnceAndThenSaysNo) {
  PagePool pool(kPageBytes, 5);
  std::vector<PageRef> held;
  std::set<std::byte*> addresses;
  for (int i = 0; i < 5; ++i) {
    held.push_back(*pool.take());
    addresses.insert(held.back().data());
    pool.check();
  }
  EXPECT_EQ(addresses.size(), 5u);
  EXPECT_FALSE(pool.take().has_value());
  EXPECT_EQ(pool.held_pages(), 5);
  held.clear();
  EXPECT_EQ(pool.free_pages(), 5);
  EXPECT_EQ(pool.peak_held_pages(), 5);
  pool.check();
}

TEST(PagePool, ALentPageIsZeroEvenIfSomebodyWroteItBefore) {
  PagePool pool(kPageBytes, 1);
  for (int round = 0; round < 3; ++round) {
    const std::optional<PageRef> page = pool.take();
    EXPECT_TRUE(std::all_of(page->data(), page->data() + kPageBytes, [](std::byte b) { return b == std::byte{0}; }));
    std::memset(page->data(), 0xff, kPageBytes);
  }
}

TEST(PagePool, LendsUsedPagesBeforeUntouchedOnes) {
  PagePool pool(kPageBytes, 100);
  const std::byte* first = pool.take()->data();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(pool.take()->data(), first);
  EXPECT_EQ(pool.peak_held_pages(), 1);
}

#ifdef __SANITIZE_ADDRESS__
TEST(PagePool, TouchingAPageThatWasGivenBackIsReported) {
  PagePool pool(kPageBytes, 1);
  const volatile std::byte* page = pool.take()->data();
  EXPECT_DEATH((void)*page, "use-after-poison");
}
#endif

TEST(PagePool, PagesBeginOnCacheLines) {
  PagePool pool(kPageBytes, 3);
  const std::optional<PageRef> pages[] = {pool.take(), pool.take(), pool.take()};
  for (const auto& page : pages) EXPECT_EQ(reinterpret_cast<uintptr_t>(page->data()) % 64, 0u);
}

TEST(PagePool, MoreThanThereAreAddressesIsRefusedWithAMend) {
  try {
    PagePool pool(int64_t{1} << 40, std::numeric_limits<int>::max());
    FAIL() << "was not refused";
  } catch (const Error& error) {
    EXPECT_NE(error.mend(), "");
  }
}

TEST(PageRef, MovingKeepsTheCountAndEmptiesTheSource) {
  PagePool pool(kPageBytes, 2);
  std::optional<PageRef> a = pool.take();
  const PageId id = a->id();
  PageRef b = std::move(*a);
  a.reset();
  EXPECT_EQ(pool.holders(id), 1);
  EXPECT_EQ(b.id(), id);
  {
    PageRef c = *pool.take();
    c = std::move(b);  // the page c held before goes back at the latest when b dies
    EXPECT_EQ(c.id(), id);
  }
  EXPECT_EQ(pool.holders(id), 0);
  pool.check();
}

TEST(PageRef, ASharedPageIsFreeWhenItsLastHolderIsGone) {
  PagePool pool(kPageBytes, 1);
  std::optional<PageRef> first = pool.take();
  std::optional<PageRef> second = first->hold();
  EXPECT_EQ(second->data(), first->data());
  EXPECT_EQ(pool.held_pages(), 1);
  first.reset();
  pool.check();
  EXPECT_FALSE(pool.take().has_value());
  second.reset();
  pool.check();
  EXPECT_TRUE(pool.take().has_value());
}

}  // namespace
}  // namespace fovea::kv
