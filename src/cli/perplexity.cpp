// fovea perplexity: how well a model expects a text.
#include <fmt/format.h>

#include <limits>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/terminal.h"
#include "cli/text_input.h"
#include "fovea/evaluation.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "Counted as llama-perplexity counts, so that figures compare: chunks of -c tokens, each begun by BOS if "
    "the\n"
    "model's texts are, and only the second half of each counted.\n"
    "\n"
    "Examples:\n"
    "  fovea perplexity -f book.txt -c 512 --chunks 32\n"
    "  fovea perplexity -m model.gguf -f book.txt -c 2048 --json\n"
    "  fovea perplexity -f book.txt -c 90000 --chunks 1 --last 10000 --evict streaming --kv-budget 1024\n"
    "  fovea perplexity -f book.txt -c 90000 --chunks 1 --last 10000 --fresh 1024\n";
constexpr int kLeastContext = 4;  // below, nothing is left to count

struct PerplexityOptions {
  ModelOptions model;
  std::optional<std::string> file;
  int context = 512, chunks = 0, last = 0, fresh = 0;
  bool json = false;
};

int run(const PerplexityOptions& options) {
  const std::optional<std::string> text = read_text_input(std::nullopt, options.file);
  if (!text) throw UsageError("no text: give a file with -f, or a pipe");
  const std::shared_ptr<const Model> model = options.model.load(options.context);
  ProgressBar bar(ProgressUnit::tokens);
  PerplexityJob job;
  job.text = *text;
  job.context = options.context;
  job.chunks = options.chunks;
  job.last_tokens = options.last;
  job.fresh_tokens = options.fresh;
  std::string stage = "perplexity";
  job.progress = [&](std::string_view, int64_t done, int64_t total) {
    bar.update(stage, done, total);
    return !interrupted();
  };
  double so_far = 0;
  int chunks_done = 0;
  job.on_chunk = [&](int chunk, double perplexity) {
    chunks_done = chunk;
    so_far = perplexity;
    if (!is_terminal(Stream::error) && !options.json) write_error(fmt::format("[{}] {:.4f}\n", chunk, perplexity));
  };
  Perplexity result;
  try {
    result = measure_perplexity(model, options.model.engine_options(), job);
  } catch (const Stopped&) {
    bar.clear();
    if (chunks_done > 0) write_error(fmt::format("after {} chunks: {:.4f}\n", chunks_done, so_far));
    throw;
  }
  bar.clear();
  if (options.json) {
    write_json({{"perplexity", result.perplexity},
                {"standard_error", result.standard_error},
                {"chunks", result.chunks},
                {"context", result.context},
                {"tokens", result.tokens}});
  } else {
    write_output(fmt::format("perplexity {:.4f} +/- {:.4f}  ({} chunks of {} tokens, {} counted)\n", result.perplexity,
                             result.standard_error, result.chunks, result.context, count_text(result.tokens)));
  }
  return 0;
}

}  // namespace

void add_perplexity_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("perplexity", "how well a model expects a text");
  const auto options = std::make_shared<PerplexityOptions>();
  options->model.add_model(*command);
  command->add_option("-f,--file", options->file, "the text; - is stdin")->type_name("FILE");
  command->add_option("-c,--context", options->context, "tokens of a chunk")
      ->type_name("N")
      ->check(whole_number(kLeastContext, std::numeric_limits<int>::max()))
      ->capture_default_str();
  command->add_option("--chunks", options->chunks, "chunks to measure; 0: as many as the text has")
      ->type_name("K")
      ->check(whole_number(0, std::numeric_limits<int>::max()))
      ->capture_default_str();
  const auto tokens = [&](const char* name, int& value, const char* help) {
    command->add_option(name, value, help)->type_name("N")->check(whole_number(0, EngineLimits::kMostContextTokens));
  };
  tokens("--last", options->last, "count only the last N tokens of a chunk; 0: its second half");
  tokens("--fresh", options->fresh,
         "expect the last tokens from fresh contexts of N tokens: the first --sinks and the\n"
         "newest, --evict-interval tokens each time. What --evict streaming is measured against");
  options->model.add_machine(*command);
  options->model.add_cache(*command);
  command->add_flag("--json", options->json, "one JSON object on stdout");
  command->footer(kExamples);
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace fovea::cli
