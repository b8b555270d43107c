#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <vector>

namespace fovea {
namespace {

TEST(ThreadPool, RunsEveryPieceExactlyOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const int pieces : {0, 1, 2, 3, 64, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(pieces));
      pool.run(pieces, [&](int index, int thread) {
        EXPECT_LT(thread, threads);
        runs[static_cast<size_t>(index)].fetch_add(1);
      });
      for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
    }
  }
}

TEST(ThreadPool, RunsEveryPieceOfASequenceExactlyOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int used = 1; used <= threads; ++used) {
      pool.use(used);
      for (const int pieces : {0, 1, 2, 3, 4, 64, 1000}) {
        std::vector<std::atomic<int>> runs(static_cast<size_t>(pieces));
        pool.run_in_sequence(pieces, [&](int index, int thread) {
          EXPECT_LT(thread, used);
          runs[static_cast<size_t>(index)].fetch_add(1);
        });
        for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
      }
    }
  }
}

TEST(ThreadPool, AThreadTakesPiecesThatFollowEachOther) {
  ThreadPool pool(1);
  std::vector<int> order;
  pool.run_in_sequence(7, [&](int index, int) { order.push_back(index); });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6}));
}

TEST(ThreadPool, OthersTakeTheRunOfAThreadThatIsStuck) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  std::array<std::atomic<int>, 2> first = {-1, -1};
  pool.run_in_sequence(100, [&](int, int thread) {
    int none = -1;
    if (first[static_cast<size_t>(thread)].compare_exchange_strong(none, 0) && thread == 1) {
      while (done.load() < 99) std::this_thread::yield();  // its first piece takes as long as all others
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
