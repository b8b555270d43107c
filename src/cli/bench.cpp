// fovea bench: speed at depth, next to what the machine could do.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "cli/commands.h"
#include "cli/figure_file.h"
#include "cli/model_options.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/plan_report.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "fovea/evaluation.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "Prefill reads a prompt in chunks, decode writes token by token; both begin at a depth, the tokens "
    "already there.\n"
    "A depth is rounded up to whole chunks. \"of limit\" compares with what short probes of this machine "
    "reached:\n"
    "8-bit multiply-adds for prefill, memory reads for decode.\n"
    "\n"
    "Examples:\n"
    "  fovea bench\n"
    "  fovea bench -m model.gguf -p 512 -n 128 -d 0,4096,16384 -t 2 -r 5\n"
    "  fovea bench -p 0 -n 64 --json\n"
    "  fovea bench -d 0,4096 --profile\n"
    "  fovea bench -d 0,16384 --roofline roofline.svg\n";
constexpr long long kMostTokens = 1 << 24;

struct BenchOptions {
  ModelOptions model;
  SpeedJob job;
  std::string roofline;  // a file
  bool profile = false, json = false;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

nlohmann::ordered_json json_of(const SpeedRow& row) {
  return {{"phase", row.phase},
          {"tokens", row.tokens},
          {"depth", row.depth},
          {"tokens_per_s", row.tokens_per_s},
          {"bytes_per_token", row.bytes_per_token},
          {"macs_per_token", row.macs_per_token},
          {"gb_per_s", row.gb_per_s},
          {"gmac_per_s", row.gmac_per_s},
          {"share_of_limit", row.share_of_limit},
          {"part_seconds_per_token", row.part_seconds}};
}

nlohmann::ordered_json json_of(const Model& model, const MachineLimits& limits, const std::vector<SpeedRow>& rows) {
  nlohmann::ordered_json object = {{"model", display_name(model.facts())},
                                   {"path", model.facts().path},
                                   {"weights_bytes", model.weights_bytes()},
                                   {"threads", limits.threads},
                                   {"kernels", std::string(model.kernels())}};
  object["limits"] = {{"read_gb_per_s", limits.read_gb_per_s}, {"int8_gmac_per_s", limits.int8_gmac_per_s}};
  object["results"] = nlohmann::ordered_json::array();
  for (const SpeedRow& row : rows) object["results"].push_back(json_of(row));
  return object;
}

// "2 threads, avx512; this machine reads 58.1 GB/s and does 812 G multiply-adds of 8 bits per second"
std::string heading(const Model& model, const MachineLimits& limits) {
  std::string text =
      fmt::format("{}, {} of weights, {}, {} thread{}\n", display_name(model.facts()),
                  bytes_text(static_cast<double>(model.weights_bytes())), model.kernels(), limits.threads, limits.threads == 1 ? "" : "s");
  text += fmt::format("limits of this machine: {:.1f} GB/s read", limits.read_gb_per_s);
  if (limits.int8_gmac_per_s > 0) text += fmt::format(", {:.0f} GMAC/s int8", limits.int8_gmac_per_s);
  return text + "\n\n";
}

std::string text_of(const std::vector<SpeedRow>& rows) {
  Table table(
      {{"phase", Table::Align::left}, {"tokens"}, {"depth"}, {"t/s"}, {"slowest"}, {"fastest"}, {"GB/s"}, {"GMAC/s"}, {"of limit"}});
  for (const SpeedRow& row : rows) {
    const auto [slowest, fastest] = std::minmax_element(row.tokens_per_s.begin(), row.tokens_per_s.end());
    table.add_row({row.phase, count_text(row.tokens), count_text(row.depth), rate_text(median(row.tokens_per_s)), rate_text(*slowest),
                   rate_text(*fastest), fmt::format("{:.1f}", row.gb_per_s), fmt::format("{:.0f}", row.gmac_per_s),
                   row.share_of_limit > 0 ? share_text(row.share_of_limit) : "-"});
  }
  return table.text();
}

// The parts' shares of each row's time, and what is left.
std::string profile_of(const std::vector<SpeedRow>& rows) {
  std::set<std::string> parts;
  for (const SpeedRow& row : rows) {
    for (const auto& [part, seconds] : row.part_seconds) parts.insert(part);
  }
  std::vector<Table::Column> columns = {{"phase", Table::Align::left}, {"depth"}, {"ms per token"}};
  for (const std::string& part : parts) columns.push_back({part});
  columns.push_back({"rest"});
  Table table(columns);
  for (const SpeedRow& row : rows) {
    double all = 0, named = 0;  // seconds per token, over all rounds
    for (const double speed : row.tokens_per_s) all += 1 / speed / static_cast<double>(row.tokens_per_s.size());
    std::vector<std::string> cells = {row.phase, count_text(row.depth), fmt::format("{:.3f}", 1e3 * all)};
    for (const std::string& part : parts) {
      const auto found = row.part_seconds.find(part);
      const double seconds = found == row.part_seconds.end() ? 0 : found->second;
      named += seconds;
      cells.push_back(share_text(seconds / all));
    }
    cells.push_back(share_text(std::max(0.0, all - named) / all));
    table.add_row(cells);
  }
  return "\nwhere the time goes\n\n" + table.text();
}

int run(const BenchOptions& options) {
  if (options.job.prompt_tokens == 0 && options.job.decode_tokens == 0) {
    throw UsageError("nothing to measure: -p and -n are both 0");
  }
  const std::shared_ptr<const Model> model = options.model.load(options.job.context_tokens(options.model.chunk), options.model.cache);
  const MachineLimits limits = probe_machine(*model, options.model.threads);
  ProgressBar bar(ProgressUnit::tokens);
  SpeedJob job = options.job;
  job.on_plan = show_plan;
  job.progress = bar.callback();
  const std::vector<SpeedRow> rows = measure_speed(model, options.model.engine_options(), job, limits);
  bar.clear();
  if (options.json) {
    write_json(json_of(*model, limits, rows));
  } else {
    write_output(heading(*model, limits) + text_of(rows) + (options.profile ? profile_of(rows) : ""));
  }
  if (!options.roofline.empty()) {  // last: what was measured is not lost where it cannot be written
    write_figure(options.roofline, roofline_figure(display_name(model->facts()), limits, rows), "Fovea: roofline");
  }
  return 0;
}

}  // namespace

void add_bench_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("bench", "speed of prefill and decode at depth, and of the machine");
  const auto options = std::make_shared<BenchOptions>();
  options->model.add_model(*command);
  SpeedJob& job = options->job;
  const auto add = [&](const char* name, int& value, const char* help, long long least) {
    command->add_option(name, value, help)->type_name("N")->check(whole_number(least, kMostTokens))->capture_default_str();
  };
  add("-p,--prompt", job.prompt_tokens, "tokens to prefill; 0: no prefill", 0);
  add("-n,--tokens", job.decode_tokens, "tokens to decode; 0: no decode", 0);
  command->add_option("-d,--depth", job.depths, "depths, separated by commas")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(whole_number(0, kMostTokens))
      ->capture_default_str();
  add("-r,--rounds", job.rounds, "times each is measured; the table shows the median", 1);
  options->model.add_machine(*command);
  options->model.add_cache(*command);
  command->add_flag("--profile", options->profile, "also show where the time goes, by part of the model");
  command->add_option("--roofline", options->roofline, "also draw speed beside the machine's limits: a .svg or .html file")
      ->type_name("FILE");
  command->add_flag("--json", options->json, "one JSON object on stdout");
  command->footer(kExamples);
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace fovea::cli
