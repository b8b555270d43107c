#include "eval/read_probe.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <limits>
#include <span>
#include <thread>
#include <vector>

#include "base/aligned.h"
#include "base/clock.h"

namespace fovea::eval {
namespace {

constexpr size_t kBytes = size_t{256} << 20;
constexpr int kPasses = 6;

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
  const size_t workers = static_cast<size_t>(std::max(1, threads));
  AlignedArray<uint64_t> buffer(kBytes / sizeof(uint64_t));
  const size_t part = buffer.size() / workers;
  std::barrier together(static_cast<std::ptrdiff_t>(workers) + 1);
  std::atomic<uint64_t> sink = 0;  // so that the sums are wanted

  const auto work = [&](size_t worker) {
    const std::span<uint64_t> mine = buffer.span().subspan(worker * part, part);
    std::fill(mine.begin(), mine.end(),
              worker + 1);  // pages that were never written all map to one page of zeros
    together.arrive_and_wait();
    for (int pass = 0; pass < kPasses; ++pass) {
      together.arrive_and_wait();
      sink += sum_of(mine);
      together.arrive_and_wait();
    }
  };
  std::vector<std::jthread> team;
  for (size_t worker = 0; worker < workers; ++worker) team.emplace_back(work, worker);

  together.arrive_and_wait();
  double best = std::numeric_limits<double>::infinity();
  for (int pass = 0; pass < kPasses; ++pass) {
    together.arrive_and_wait();
    const Stopwatch watch;
    together.arrive_and_wait();
    best = std::min(best, watch.seconds());
  }
  return static_cast<double>(part * workers * sizeof(uint64_t)) / best;
}

}  // namespace fovea::eval
