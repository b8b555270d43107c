// The subcommands. Each adds its options to the program; when it is the one that was typed, it sets `chosen`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <stdexcept>

namespace fovea::cli {

using Action = std::function<int()>;  // does the work, returns the exit status

// Arguments that are fine one by one but not together. Ends in exit status 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void add_run_command(CLI::App& program, Action& chosen);
void add_tokenize_command(CLI::App& program, Action& chosen);
void add_logits_command(CLI::App& program, Action& chosen);
void add_perplexity_command(CLI::App& program, Action& chosen);
void add_bench_command(CLI::App& program, Action& chosen);
void add_inspect_command(CLI::App& program, Action& chosen);
void add_plan_command(CLI::App& program, Action& chosen);
void add_serve_command(CLI::App& program, Action& chosen);
void add_models_command(CLI::App& program, Action& chosen);
void add_kv_quality_command(CLI::App& program, Action& chosen);
void add_synth_command(CLI::App& program, Action& chosen);
void add_convert_command(CLI::App& program, Action& chosen);

}  // namespace fovea::cli
