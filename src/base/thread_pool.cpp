#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cassert>

#include "base/clock.h"

namespace fovea {
namespace {

constexpr int kIndexBits = 20;
constexpr uint64_t kIndexMask = (1u << kIndexBits) - 1;
constexpr int kMostPieces = static_cast<int>(kIndexMask);
// About 60 us of pauses: longer than the gap between two jobs of a step, shorter than a sleep is worth.
constexpr int kSpins = 1500;

uint64_t pieces_of(uint64_t ticket) { return (ticket >> kIndexBits) & kIndexMask; }
uint64_t next_of(uint64_t ticket) { return ticket & kIndexMask; }
uint64_t generation_of(uint64_t ticket) { return ticket >> (2 * kIndexBits); }

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

int usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

ThreadPool::ThreadPool(int threads) : in_use_(threads), runs_(static_cast<size_t>(threads)) {
  assert(threads >= 1 && threads <= 1024);
  for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  closing_.store(true);
  use(threads());
  wake_.fetch_add(1);
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::use(int threads) {
  assert(threads >= 1 && threads <= this->threads());
  in_use_.store(threads);
  in_use_.notify_all();
}

void ThreadPool::run_job(int pieces, Call call, void* piece) {
  if (pieces <= 0) return;
  if (pieces == 1 || in_use() == 1) {
    for (int index = 0; index < pieces; ++index) call(piece, index, 0);
    return;
  }
  assert(pieces <= kMostPieces);
  call_.store(call, std::memory_order_relaxed);
  piece_.store(piece, std::memory_order_relaxed);
  unfinished_.store(static_cast<uint32_t>(pieces), std::memory_order_relaxed);
  const uint64_t generation = generation_of(ticket_.load(std::memory_order_relaxed)) + 1;
  const uint64_t ticket = (generation << (2 * kIndexBits)) | (static_cast<uint64_t>(pieces) << kIndexBits);
  ticket_.store(ticket);
  if (sleepers_.load() > 0) {  // both sequentially consistent: a thread either sees the ticket or is seen here
    wake_.fetch_add(1);
    wake_.notify_all();
  }
  take_pieces(ticket, 0);
  wait_for_completion();
}

void ThreadPool::take_pieces(uint64_t ticket, int thread) {
  const uint64_t generation = generation_of(ticket);
  // Read before claiming: they change only after every piece of this generation was claimed and finished, and then
  // the claim below fails.
  const Call call = call_.load(std::memory_order_relaxed);
  void* piece = piece_.load(std::memory_order_relaxed);
  uint64_t now = ticket_.load(std::memory_order_acquire);
  while (generation_of(now) == generation && next_of(now) < pieces_of(now)) {
    if (!ticket_.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    call(piece, static_cast<int>(next_of(now)), thread);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    now = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::wait_for_completion() {
  constexpr int kUsualSpins = 64;  // pieces never end at the same instant
  for (int spin = 0; spin < kUsualSpins; ++spin) {
    if (unfinished_.load(std::memory_order_acquire) == 0) return;
    pause_briefly();
  }
  const Stopwatch watch;
  wait_longer_for_completion();
  stalled_seconds_ += watch.seconds();
}

void ThreadPool::wait_longer_for_completion() {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (unfinished_.load(std::memory_order_acquire) == 0) return;
    pause_briefly();
  }
  // Someone holds a piece and does not run: leave the processor, it may be needed to finish that piece.
  while (const uint32_t left = unfinished_.load(std::memory_order_acquire)) {
    unfinished_.wait(left, std::memory_order_acquire);
  }
}

uint64_t ThreadPool::wait_for_job(uint64_t seen) {
  for (int spin = 0; spin < kSpins; ++spin) {
    const uint64_t ticket = ticket_.load(std::memory_order_acquire);
    if (generation_of(ticket) != generation_of(seen) || closing_.load(std::memory_order_relaxed)) return ticket;
    pause_briefly();
  }
  sleepers_.fetch_add(1);
  for (;;) {
    const uint32_t wake = wake_.load();
    const uint64_t ticket = ticket_.load();
    if (generation_of(ticket) != generation_of(seen) || closing_.load()) {
      sleepers_.fetch_sub(1);
      return ticket;
    }
    wake_.wait(wake);
  }
}

void ThreadPool::work(int thread) {
  uint64_t seen = 0;
  while (!closing_.load(std::memory_order_relaxed)) {
    if (const int used = in_use_.load(); thread >= used) {
      in_use_.wait(used);
      continue;
    }
    seen = wait_for_job(seen);
    if (thread < in_use()) take_pieces(seen, thread);
  }
}

}  // namespace fovea
