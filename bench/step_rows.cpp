// How long a step takes by its rows, where all of them are of one sequence and all their logits are wanted: what guessed tokens
// (engine/prompt_lookup.h) cost. In turns; median of the rounds, and the ratio to one row.
//
//   step_rows MODEL DEPTH THREADS [ROUNDS]
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "fovea/catalogue.h"
#include "fovea/engine.h"
#include "fovea/error.h"

namespace fovea {
namespace {

constexpr std::array kRows = {1, 2, 3, 4, 5, 6, 8, 12, 16};

std::vector<int32_t> some_tokens(const Model& model, int count, uint32_t state) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) {
    state = state * 1664525 + 1013904223;
    token = static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(model.facts().vocabulary));
  }
  return tokens;
}

// One step of the last `rows` tokens; what stands before them is in the cache.
double step_seconds(Engine& engine, std::vector<int32_t> tokens, int rows) {
  Request request;
  request.logits_from = static_cast<int>(tokens.size()) - rows;
  request.prompt = std::move(tokens);
  request.max_tokens = 0;
  float seen = 0;
  request.on_logits = [&](int, std::span<const float> row) { seen += row[0]; };
  engine.submit(std::move(request));
  const Stopwatch watch;
  while (!engine.idle()) engine.step();
  return watch.seconds();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(const std::string& path, int depth, int threads, int rounds) {
  LoadOptions load;
  load.threads = threads;
  const std::shared_ptr<const Model> model = Model::load(path, load);
  EngineOptions options;
  options.context_tokens = depth + 64;
  options.threads = threads;
  Engine engine(model, options);
  const std::vector<int32_t> past = some_tokens(*model, depth, 1);
  step_seconds(engine, past, 1);
  std::array<std::vector<double>, kRows.size()> times;
  for (int round = 0; round < rounds + 3; ++round) {  // three to warm up
    for (size_t i = 0; i < kRows.size(); ++i) {
      std::vector<int32_t> tokens = past;
      const std::vector<int32_t> newest =
          some_tokens(*model, kRows[i], static_cast<uint32_t>(round * 100) + static_cast<uint32_t>(kRows[i]));
      tokens.insert(tokens.end(), newest.begin(), newest.end());
      const double seconds = step_seconds(engine, std::move(tokens), kRows[i]);
      if (round >= 3) times[i].push_back(seconds);
    }
  }
  const double one = median(times[0]);
  for (size_t i = 0; i < kRows.size(); ++i)
    std::printf("%3d rows %7.2f ms  %.2f x\n", kRows[i], 1e3 * median(times[i]), median(times[i]) / one);
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: step_rows MODEL DEPTH THREADS [ROUNDS]\n";
    return 2;
  }
  try {
    fovea::measure(fovea::resolve_model(argv[1]), std::atoi(argv[2]), std::atoi(argv[3]), argc > 4 ? std::atoi(argv[4]) : 40);
    return 0;
  } catch (const fovea::Error& error) {
    std::cerr << "step_rows: " << error.what() << "\n";
    return 1;
  }
}
