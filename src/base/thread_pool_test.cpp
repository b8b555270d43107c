#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

namespace fovea {
namespace {

// run(pieces, piece): one of the ways in which a pool runs pieces.
template <typename Run> void expect_each_piece_once(ThreadPool& pool, const Run& run) {
  for (const int pieces : {0, 1, 2, 3, 4, 64, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(pieces));
    run(pieces, [&](int index, int thread) {
      EXPECT_LT(thread, pool.in_use());
      runs[static_cast<size_t>(index)].fetch_add(1);
    });
    for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
  }
}

TEST(ThreadPool, RunsEveryPieceExactlyOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int used = 1; used <= threads; ++used) {
      pool.use(used);
      expect_each_piece_once(pool, [&](int pieces, auto piece) { pool.run(pieces, piece); });
      expect_each_piece_once(pool, [&](int pieces, auto piece) { pool.run_in_sequence(pieces, piece); });
    }
  }
}

TEST(ThreadPool, InSequenceEachThreadBeginsARunOfItsOwn) {
  ThreadPool pool(2);
  std::array<std::atomic<int>, 2> first = {-1, -1};
  std::atomic<int> begun{0};
  pool.run_in_sequence(100, [&](int index, int thread) {
    int none = -1;
    if (!first[static_cast<size_t>(thread)].compare_exchange_strong(none, index)) return;
    begun.fetch_add(1);
    while (begun.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(std::min(first[0].load(), first[1].load()), 0);
  EXPECT_EQ(std::max(first[0].load(), first[1].load()), 50);
}

TEST(ThreadPool, InSequenceTheRunOfAThreadThatIsStuckIsTakenByOthers) {
  ThreadPool pool(2);
  std::atomic<bool> stuck{false};
  std::atomic<int> done{0};
  pool.run_in_sequence(100, [&](int, int) {
    if (!stuck.exchange(true)) {
      while (done.load() < 99) std::this_thread::yield();  // the first piece takes as long as all others
    }
    done.fetch_add(1);
  });
  EXPECT_EQ(done.load(), 100);
}

TEST(ThreadPool, WritesOfPiecesAreVisibleAfterRun) {
  ThreadPool pool(4);
  std::vector<int> values(257, 0);
  for (int round = 1; round <= 3000; ++round) {
    pool.run(257, [&](int index, int) { values[static_cast<size_t>(index)] += index; });
  }
  for (int i = 0; i < 257; ++i) EXPECT_EQ(values[static_cast<size_t>(i)], 3000 * i);
}

TEST(ThreadPool, JobsAfterAPauseStillRun) {
  ThreadPool pool(3);
  std::atomic<int> total{0};
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // long enough for the workers to fall asleep
    pool.run(10, [&](int, int) { total.fetch_add(1); });
  }
  EXPECT_EQ(total.load(), 50);
}

TEST(ThreadPool, OnlyThreadsInUseTakePieces) {
  ThreadPool pool(4);
  for (int round = 0; round < 200; ++round) {
    const int used = 1 + round % 4;
    pool.use(used);
    std::vector<std::atomic<int>> runs(100);
    std::atomic<int> outside{0};
    pool.run(100, [&](int index, int thread) {
      runs[static_cast<size_t>(index)].fetch_add(1);
      if (thread >= used) outside.fetch_add(1);
    });
    for (const auto& count : runs) ASSERT_EQ(count.load(), 1);
    ASSERT_EQ(outside.load(), 0) << used << " in use";
  }
}

TEST(ThreadPool, APoolWithThreadsOutOfUseEnds) {
  ThreadPool pool(3);
  pool.use(1);
  pool.run(5, [](int, int thread) { EXPECT_EQ(thread, 0); });
}

TEST(ThreadPool, WaitingForALateThreadIsCounted) {
  ThreadPool pool(2);
  std::atomic<bool> other_began{false};
  pool.run(2, [&](int, int thread) {
    if (thread == 0) {
      while (!other_began.load()) std::this_thread::yield();
      return;
    }
    other_began.store(true);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  EXPECT_GT(pool.take_stalled_seconds(), 0.005);
  EXPECT_EQ(pool.take_stalled_seconds(), 0);
}

TEST(ThreadPool, APoolThatNeverWorkedEnds) { ThreadPool pool(8); }

}  // namespace
}  // namespace fovea
