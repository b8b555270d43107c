// One cell of the table that bench/plan_reality makes: loads a model, fills its cache as the engine would,
// and says what was planned and what is resident.
//
//   plan_cell MODEL CONTEXT SEQUENCES CODEC THREADS
//
// The engine first computes a prompt with all its logits, so that everything a step uses has been touched.
// The rest of the context is then reserved, written and committed in chunks, which makes its pages resident
// just as computing it would, only sooner.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/model_state.h"
#include "fovea/catalogue.h"
#include "fovea/engine.h"
#include "fovea/error.h"
#include "kv/cache.h"
#include "model/forward.h"

namespace fovea {
namespace {

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

void compute_prompt(Engine& engine, int tokens) {
  Request request;
  for (int i = 0; i < tokens; ++i) request.prompt.push_back(i * 37 % engine.model().facts().vocabulary);
  request.max_tokens = 1;
  request.on_logits = [](int, std::span<const float>) {};
  engine.generate(std::move(request), {});
}

// As forward writes every slot of its positions.
void write_positions(const kv::Cache& cache, kv::SequenceId sequence, int layers, int begin, int end) {
  for (int layer = 0; layer < layers; ++layer) {
    const kernels::KvPages pages = cache.view(sequence, layer);
    const size_t bytes = cache.layout(layer).slice_bytes();
    for (int page = begin / kernels::kPageTokens; page <= (end - 1) / kernels::kPageTokens; ++page) {
      std::memset(pages.slice(page), 1, bytes);
    }
  }
}

// Sequence by sequence, in chunks, the last position last.
void fill(kv::Cache& cache, const EngineOptions& options, int layers) {
  std::vector<kv::SequenceId> sequences;
  for (int i = 0; i < options.sequences; ++i) sequences.push_back(cache.create().value());
  for (const kv::SequenceId sequence : sequences) {
    while (cache.length(sequence) < options.context_tokens) {
      const int tokens = std::min(options.chunk_tokens, options.context_tokens - cache.length(sequence));
      if (!cache.reserve(sequence, tokens)) throw Error("the cache has no room for its own context", "plan_cell", "");
      write_positions(cache, sequence, layers, cache.length(sequence), cache.length(sequence) + tokens);
      cache.commit(sequence, tokens);
    }
  }
}

nlohmann::ordered_json measure(const std::string& path, const EngineOptions& options) {
  const int64_t empty = resident_bytes();
  const auto model = Model::load(resolve_model(path));
  const int64_t loaded = resident_bytes();
  // The engine's own cache is one chunk long; the one that was asked for lies beside it.
  EngineOptions small = options;
  small.context_tokens = std::min(options.context_tokens, options.chunk_tokens);
  small.sequences = 1;
  Engine engine(model, small);
  compute_prompt(engine, small.context_tokens);
  const int64_t computed = resident_bytes();

  PlanOptions wanted{.context_tokens = options.context_tokens, .sequences = options.sequences, .threads = options.threads};
  wanted.kv_local = wanted.kv_global = name_of(options.kv_local);
  const Plan plan = model->state().planner->plan(wanted), small_plan = engine.plan();
  kv::Cache cache(model::kv_groups(model->state().spec, options),
                  {options.context_tokens, std::min(options.chunk_tokens, options.context_tokens), options.sequences, 0});
  fill(cache, options, static_cast<int>(model->facts().layers.size()));
  const int64_t filled = resident_bytes();
  return {{"model", plan.model},
          {"context", options.context_tokens},
          {"sequences", options.sequences},
          {"codec", name_of(options.kv_local)},
          {"planned",
           {{"total", plan.total_bytes},
            {"weights", plan.weights_bytes},
            {"kv", plan.cache_bytes()},
            {"scratch", plan.scratch_bytes},
            {"vocabulary", plan.vocabulary_bytes},
            {"program", plan.program_bytes}}},
          {"measured",
           {{"total", filled - small_plan.cache_bytes()},
            {"loaded", loaded - empty},
            {"kv", filled - computed},
            {"scratch", computed - loaded - small_plan.cache_bytes()},
            {"program", empty}}}};
}

int run(char** argv) {
  EngineOptions options;
  options.context_tokens = std::atoi(argv[2]);
  options.sequences = std::atoi(argv[3]);
  options.kv_local = options.kv_global = kv_codecs_from_name(argv[4]);
  options.threads = std::atoi(argv[5]);
  std::cout << measure(argv[1], options).dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "plan_cell MODEL CONTEXT SEQUENCES CODEC THREADS\n";
    return 2;
  }
  try {
    return fovea::run(argv);
  } catch (const std::exception& error) {
    std::cerr << "plan_cell: " << error.what() << "\n";
    return 1;
  }
}
