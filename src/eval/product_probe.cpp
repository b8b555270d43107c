#include "eval/product_probe.h"

#include <algorithm>
#include <barrier>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace fovea::eval {
namespace {

constexpr double kSecondsPerTry = 0.01;
constexpr int kTries = 4;

// Rounds that take about kSecondsPerTry.
int64_t rounds_per_try(const kernels::KernelSet& set) {
  for (int64_t rounds = 1024;; rounds *= 4) {
    const Stopwatch watch;
    set.byte_products(rounds);
    if (watch.seconds() > kSecondsPerTry / 4) return rounds;
  }
}

}  // namespace

double probe_multiply_adds_per_second(const kernels::KernelSet& set, int threads) {
  const int64_t rounds = rounds_per_try(set);
  double best = 0;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    std::barrier together(threads);
    std::vector<double> speeds(static_cast<size_t>(threads));
    {
      std::vector<std::jthread> team;
      for (double& speed : speeds) {
        team.emplace_back([&] {
          together.arrive_and_wait();
          const Stopwatch watch;
          const auto done = static_cast<double>(set.byte_products(rounds));
          speed = done / watch.seconds();
        });
      }
    }
    double sum = 0;
    for (const double speed : speeds) sum += speed;
    best = std::max(best, sum);
  }
  return best;
}

}  // namespace fovea::eval
