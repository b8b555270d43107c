// Threads that share out small pieces of work.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace fovea {

// Processors that this process may use (affinity respected), at least 1.
int usable_processors();

// run() hands out pieces 0..n-1 of one job from a shared counter; the calling thread works too, and run() returns when every
// piece is done. A thread that the operating system has put aside delays only the piece it holds: the others take
// the rest, and a thread that comes late finds nothing left to do.
//
// Waiting threads spin briefly (the next job of a step follows within microseconds), then sleep.
//
//   owner    joins its threads on destruction
//   threads  run() is called by one thread at a time, and not from inside a piece
//   errors   pieces must not throw
class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // REQUIRES 1 <= threads <= 1024; threads - 1 are started
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // From the next run() on, only this many threads take pieces; the others sleep. Where other programs keep processors busy,
  // fewer threads can be faster: nobody waits for a piece that its thread took to sleep. REQUIRES 1 <= threads <= threads().
  void use(int threads);
  int in_use() const { return in_use_.load(std::memory_order_relaxed); }

  // How long run() has waited for others' last pieces since the last call of this.
  double take_stalled_seconds() { return std::exchange(stalled_seconds_, 0.0); }

  // piece(index, thread): index in [0, pieces), thread in [0, threads()), for scratch memory of its own.
  template <typename Piece> void run(int pieces, Piece&& piece) {
    using Plain = std::remove_reference_t<Piece>;
    run_job(
        pieces, [](void* p, int index, int thread) { (*static_cast<Plain*>(p))(index, thread); },
        const_cast<void*>(static_cast<const void*>(&piece)));
  }

  // The same; but a thread takes pieces that follow each other, from a run of its own as long as that has any, then from those of
  // others. For pieces that read memory from front to back: what is fetched beyond the end of one is the next one's begin.
  template <typename Piece> void run_in_sequence(int pieces, Piece&& piece) {
    const int runs = in_use();
    if (pieces <= 1 || runs == 1) return run(pieces, piece);
    const auto begin_of = [&](int run) { return static_cast<int>(static_cast<int64_t>(pieces) * run / runs); };
    for (int i = 0; i < runs; ++i) runs_[static_cast<size_t>(i)].next.store(begin_of(i), std::memory_order_relaxed);
    run(runs, [&](int own, int thread) {
      for (int i = 0; i < runs; ++i) {
        const int some = (own + i) % runs, end = begin_of(some + 1);
        std::atomic<int>& next = runs_[static_cast<size_t>(some)].next;
        for (int index = next.fetch_add(1, std::memory_order_relaxed); index < end; index = next.fetch_add(1, std::memory_order_relaxed)) {
          piece(index, thread);
        }
      }
    });
  }

 private:
  struct alignas(64) Run {
    std::atomic<int> next{0};
  };

  using Call = void (*)(void* piece, int index, int thread);

  void run_job(int pieces, Call call, void* piece);
  void work(int thread);
  void take_pieces(uint64_t ticket, int thread);
  void wait_for_completion();
  void wait_longer_for_completion();
  uint64_t wait_for_job(uint64_t seen);

  // The job on offer: generation (24 bits) | pieces (20 bits) | next piece (20 bits). A piece is claimed by advancing
  // the whole word, so a thread that looks at an old job cannot claim a piece of a new one.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  std::atomic<Call> call_{nullptr};
  std::atomic<void*> piece_{nullptr};
  alignas(64) std::atomic<uint32_t> unfinished_{0};
  alignas(64) std::atomic<uint32_t> sleepers_{0};
  std::atomic<uint32_t> wake_{0};
  std::atomic<bool> closing_{false};
  std::atomic<int> in_use_;
  double stalled_seconds_ = 0;  // of the caller
  std::vector<Run> runs_;       // of run_in_sequence, one per thread
  std::vector<std::thread> workers_;
};

}  // namespace fovea
