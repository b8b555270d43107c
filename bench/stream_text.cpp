// Streams a long text through budgets of keys and values: speed and memory on the way, and how well its end is expected.
//
//   stream_text MODEL FILE TOKENS BUDGET LAST [POLICY:SINKS ...]
//
// One line per tenth of the text, and the perplexity of its last LAST tokens, for each policy with so many sinks (streaming:16
// and so on; fresh:16 expects from fresh contexts of BUDGET tokens instead). A text that is too short is repeated.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "fovea/catalogue.h"
#include "fovea/error.h"
#include "fovea/evaluation.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

std::string text_of(const Model& model, const std::string& path, size_t tokens) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.empty()) throw Error("cannot be read, or is empty", path, "name a text");
  std::string all = text;
  size_t times = 1;
  for (; model.tokenize(all).size() < tokens; ++times) all += text;
  if (times > 1) fmt::print("the text is repeated {} times\n", times);
  return all;
}

// Prints a line whenever a tenth of the text is done.
class Milestones {
 public:
  bool operator()(int64_t done, int64_t total) {
    if (done < next_ * total / 10) return true;
    const double seconds = std::chrono::duration<double>(Clock::now() - since_).count();
    fmt::print("  {:>8} tokens  {:>7.0f} t/s  {:>7.1f} MiB resident\n", done, static_cast<double>(done - before_) / seconds,
               resident_mib());
    std::cout.flush();
    since_ = Clock::now();
    before_ = done;
    next_ = done * 10 / total + 1;
    return true;
  }

 private:
  Clock::time_point since_ = Clock::now();
  int64_t before_ = 0, next_ = 1;
};

Perplexity measure(const std::shared_ptr<const Model>& model, const std::string& text, const std::string& way, int tokens, int budget,
                   int last) {
  const size_t colon = way.find(':');
  const std::string policy = way.substr(0, colon);
  EngineOptions options;
  options.eviction.budget_tokens = budget;
  if (colon != std::string::npos) options.eviction.sinks = std::atoi(way.c_str() + colon + 1);
  if (policy != "fresh") options.eviction.policy = eviction_policy_from_name(policy);
  PerplexityJob job;
  job.text = text;
  job.context = tokens;
  job.chunks = 1;
  job.last_tokens = last;
  job.fresh_tokens = policy == "fresh" ? budget : 0;
  Milestones milestones;
  job.progress = [&](std::string_view, int64_t done, int64_t total) { return milestones(done, total); };
  fmt::print("{}\n", way);
  return measure_perplexity(model, options, job);
}

void run(int argc, char** argv) {
  const auto model = Model::load(resolve_model(argv[1]));
  const int tokens = std::atoi(argv[3]), budget = std::atoi(argv[4]), last = std::atoi(argv[5]);
  const std::string text = text_of(*model, argv[2], static_cast<size_t>(tokens));
  std::vector<std::string> ways(argv + 6, argv + argc);
  if (ways.empty()) ways = {"streaming:16", "streaming:0", "fresh:16"};
  std::string table;
  for (const std::string& way : ways) {
    const Perplexity p = measure(model, text, way, tokens, budget, last);
    table +=
        fmt::format("{:<18}{:>10.3f} +/- {:.3f}  over the last {} of {} tokens\n", way, p.perplexity, p.standard_error, p.tokens, tokens);
  }
  fmt::print("\nperplexity, budget {}\n{}", budget, table);
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  if (argc < 6) {
    std::cerr << "stream_text MODEL FILE TOKENS BUDGET LAST [POLICY:SINKS ...]\n";
    return 2;
  }
  try {
    fovea::run(argc, argv);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "stream_text: " << error.what() << "\n";
    return 1;
  }
}
