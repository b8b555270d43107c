// One engine that answers the requests of bench/conversation, one JSON object a line.
//
//   conversation_cell MODEL CONTEXT CONVERSATION_TOKENS THREADS
//
// Its cache may take four times what CONVERSATION_TOKENS tokens need at the least. In: {"prompt": [..], "answer": n,
// "messages": [..]}. Out: {"tokens": [..], "computed", "reused", "seconds", "resident_bytes", "report"}; first of all one
// line without tokens, when it is ready.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "fovea/catalogue.h"
#include "fovea/engine.h"
#include "fovea/error.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr int kBudget = 4;  // times the least that the conversation needs

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int64_t least_bytes(const ModelFacts& facts, int tokens) {
  int64_t bytes = 0;
  for (const LayerFacts& layer : facts.layers) bytes += layer.cache_bytes_per_token * std::min(tokens, layer.window.value_or(tokens));
  return bytes;
}

Engine engine_of(const std::shared_ptr<const Model>& model, int context, int conversation, int threads) {
  EngineOptions options;
  options.context_tokens = context;
  options.threads = threads;
  options.cache_bytes = 0;
  const int64_t running = Engine(model, options).stats().kv_bytes;
  options.cache_bytes = std::max<int64_t>(0, kBudget * least_bytes(model->facts(), conversation) - running);
  return Engine(model, options);
}

json answer(Engine& engine, const json& asked) {
  Request request;
  request.prompt = asked.at("prompt").get<std::vector<int32_t>>();
  request.max_tokens = asked.at("answer");
  request.cache.boundaries = asked.at("messages").get<std::vector<int>>();
  std::vector<int32_t> tokens;
  ReuseReport report;
  const Stopwatch watch;
  engine.submit(std::move(request));
  while (!engine.idle()) {
    for (const Event& event : engine.step()) {
      if (event.token) tokens.push_back(*event.token);
      report = event.reuse;
    }
  }
  return {{"tokens", tokens},           {"computed", report.computed_tokens}, {"reused", report.reused_tokens},
          {"seconds", watch.seconds()}, {"resident_bytes", resident_bytes()}, {"report", text_of(report)}};
}

int run(char** argv) {
  const auto model = Model::load(resolve_model(argv[1]));
  Engine engine = engine_of(model, std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]));
  std::cout << json{{"resident_bytes", resident_bytes()}, {"cache_bytes", engine.stats().kv_bytes}} << std::endl;
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(engine, json::parse(line)) << std::endl;
  return 0;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "conversation_cell MODEL CONTEXT CONVERSATION_TOKENS THREADS\n";
    return 2;
  }
  try {
    return fovea::run(argv);
  } catch (const std::exception& error) {
    std::cerr << "conversation_cell: " << error.what() << "\n";
    return 1;
  }
}
