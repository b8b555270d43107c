// fovea logits: the raw output of a model, for comparison with others.
#include <fmt/format.h>

#include <limits>
#include <memory>

#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/run_report.h"
#include "cli/terminal.h"
#include "fovea/evaluation.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "The tokens are an .npy file with one dimension of int32 or int64, run as they are (nothing is put "
    "before them).\n"
    "The logits are an .npy file of float32 [tokens, vocabulary]: row i is what the model expects after "
    "token i. It\n"
    "appears only when complete. The rows are the same, bit for bit, for any --chunk and any number of "
    "threads.\n"
    "\n"
    "Examples:\n"
    "  fovea logits -m model.gguf --tokens prompt.npy --out logits.npy\n"
    "  fovea logits -m folder --tokens prompt.npy --out logits.npy --kv-local f32 --kv-global f32\n";

struct LogitsOptions {
  ModelOptions model;
  std::string tokens, out;
  int cached = 0;
  bool stats = false;
};

int run(const LogitsOptions& options) {
  const std::shared_ptr<const Model> model = options.model.load();
  EngineStats stats;
  {
    ProgressBar bar(ProgressUnit::tokens);
    LogitsJob job;
    job.tokens_path = options.tokens;
    job.out_path = options.out;
    job.progress = bar.callback();
    job.cached_tokens = options.cached;
    stats = write_logits(model, options.model.engine_options(), job);
  }
  RunTimes times = times_between({}, stats);
  write_error(dimmed(timing_line(times), Stream::error) + "\n");
  if (options.stats) write_error(json_line(json_of(stats)));
  return 0;
}

}  // namespace

void add_logits_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("logits", "write a model's logits for given tokens to a file");
  const auto options = std::make_shared<LogitsOptions>();
  options->model.add_model(*command);
  command->add_option("--tokens", options->tokens, "token ids")->type_name("FILE.npy")->required();
  command->add_option("--out", options->out, "where the logits go")->type_name("FILE.npy")->required();
  command
      ->add_option("--cached", options->cached,
                   "first run the first N tokens as a request of their own; the whole prompt then\n"
                   "finds them in the cache, and the file is the same")
      ->type_name("N")
      ->check(whole_number(0, std::numeric_limits<int>::max()));
  options->model.add_machine(*command);
  options->model.add_cache(*command);
  command->add_flag("--stats", options->stats, "one JSON line on stderr with what the engine did and holds");
  command->footer(kExamples);
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace fovea::cli
