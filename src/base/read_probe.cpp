#include "base/read_probe.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <limits>
#include <span>
#include <thread>
#include <vector>

#include "base/large_bytes.h"

namespace fovea {
namespace {

constexpr size_t kBytes = size_t{128} << 20;
constexpr size_t kPasses = 12;

// Independent sums: wide loads, and no addition waits for another.
uint64_t sum_of(std::span<const uint64_t> words) {
  std::array<uint64_t, 16> sums = {};
  for (size_t i = 0; i + sums.size() <= words.size(); i += sums.size()) {
    for (size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += words[i + lane];
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  return sum;
}

}  // namespace

double probe_read_bytes_per_second(int threads) {
  using Clock = std::chrono::steady_clock;
  struct Pass {
    Clock::time_point begin, end;
  };
  const size_t workers = static_cast<size_t>(std::max(1, threads));
  LargeBytes memory(kBytes);
  const std::span<uint64_t> buffer(reinterpret_cast<uint64_t*>(memory.data()), kBytes / sizeof(uint64_t));
  // Every worker reads each workers-th piece: threads that share out a matrix read neighbouring memory too. Two distant
  // runs contend for the same banks of memory and showed less than the kernels reach.
  constexpr size_t kPieceWords = (size_t{128} << 10) / sizeof(uint64_t);
  const size_t pieces = buffer.size() / kPieceWords / workers * workers;
  const auto for_pieces = [&](size_t worker, auto&& use) {
    for (size_t piece = worker; piece < pieces; piece += workers) use(buffer.subspan(piece * kPieceWords, kPieceWords));
  };
  std::barrier together(static_cast<std::ptrdiff_t>(workers));
  std::atomic<uint64_t> sink = 0;  // so that the sums are wanted
  // Each worker times itself: a thread that only watches can be late by a whole pass on a busy machine.
  std::vector<std::array<Pass, kPasses>> passes(workers);

  const auto work = [&](size_t worker) {
    // Pages that were never written all map to one page of zeros.
    for_pieces(worker, [&](std::span<uint64_t> piece) { std::fill(piece.begin(), piece.end(), worker + 1); });
    for (Pass& pass : passes[worker]) {
      together.arrive_and_wait();
      pass.begin = Clock::now();
      uint64_t sum = 0;
      for_pieces(worker, [&](std::span<const uint64_t> piece) { sum += sum_of(piece); });
      sink += sum;
      pass.end = Clock::now();
    }
  };
  {
    std::vector<std::jthread> team;
    for (size_t worker = 0; worker < workers; ++worker) team.emplace_back(work, worker);
  }
  double best = std::numeric_limits<double>::infinity();
  for (size_t pass = 0; pass < kPasses; ++pass) {
    Clock::time_point begin = passes[0][pass].begin, end = passes[0][pass].end;
    for (const auto& of_worker : passes) {
      begin = std::min(begin, of_worker[pass].begin);
      end = std::max(end, of_worker[pass].end);
    }
    best = std::min(best, std::chrono::duration<double>(end - begin).count());
  }
  return static_cast<double>(pieces * kPieceWords * sizeof(uint64_t)) / best;
}

}  // namespace fovea
