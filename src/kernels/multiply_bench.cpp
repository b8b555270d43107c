// Speed of the matrix product: every set, some formats, one row (decode), one tile, and a chunk of prefill.
// One thread.
//   GMAC/s   multiply-adds
//   GB/s     bytes of packed weights read
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/matmul.h"
#include "kernels/test_numbers.h"

namespace fovea::kernels {
namespace {

void measure(benchmark::State& state, const KernelSet& set, NumberFormat format, int outputs, int inputs, int rows) {
  RandomNumbers random(1);
  ThreadPool pool(1);
  PanelMemory memory;
  const PackedMatrix weights = PackedMatrix::pack(format, outputs, inputs, random.weights(format, outputs, inputs), memory, pool);
  const std::vector<float> x = random.floats(static_cast<size_t>(rows) * static_cast<size_t>(inputs));
  std::vector<float> out(static_cast<size_t>(rows) * static_cast<size_t>(outputs));
  Compute compute(set, pool, {rows, inputs, 16});
  const Product product = {&weights, out.data(), outputs};
  for (auto _ : state) {
    multiply(compute, {x.data(), inputs, rows}, {&product, 1});
    benchmark::DoNotOptimize(out.data());
  }
  const double calls = static_cast<double>(state.iterations()) / 1e9;
  state.counters["GMAC/s"] = {calls * rows * outputs * inputs, benchmark::Counter::kIsRate};
  state.counters["GB/s"] = {calls * static_cast<double>(weights.bytes()), benchmark::Counter::kIsRate};
}

const bool kRegistered = [] {
  constexpr int kShapes[][2] = {{2048, 640}, {640, 2048}};  // outputs, inputs: both ways through a feed-forward block
  for (const KernelSet* set : supported_kernel_sets()) {
    for (const NumberFormat format : all_formats()) {
      for (const auto& [outputs, inputs] : kShapes) {
        if (inputs % static_cast<int>(facts(format).block_values) != 0) continue;
        for (const int rows : {1, 12, 512}) {
          const std::string name = "multiply/" + std::string(set->name) + "/" + std::string(facts(format).name) + "/" +
                                   std::to_string(outputs) + "x" + std::to_string(inputs) + "/rows:" + std::to_string(rows);
          benchmark::RegisterBenchmark(name.c_str(), measure, *set, format, outputs, inputs, rows);
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace fovea::kernels
