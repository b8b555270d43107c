// fovea kv-quality: what narrower keys and values cost.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "cli/text_input.h"
#include "fovea/evaluation.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "The model reads the first -c tokens of a text once with each codec and once with --reference; the table says how far\n"
    "the expected next tokens are apart (KL divergence, mean over all positions) and how often the most likely one is\n"
    "the same. With --notes, short notes are strewn into a text of that many tokens and asked for at its end: of those in its\n"
    "first quarter (the farthest), second, third and last, how many are answered right, and how likely the answers are.\n"
    "Activations are quantized to 8 bits before quantized matrices, so any change of keys and values rounds some the other way:\n"
    "a floor below which no codec comes, and --reference f32 shows. With --exact it is gone.\n"
    "\n"
    "Examples:\n"
    "  fovea kv-quality -f book.txt\n"
    "  fovea kv-quality -f book.txt -c 8192 --codecs int8 k=int8,v=int4 tq4 --layers global\n"
    "  fovea kv-quality -f book.txt -c 0 --notes 8192 --json\n";

struct Command {
  ModelOptions model;
  std::optional<std::string> file;
  int context = 2048, notes = 0;
  std::vector<std::string> codecs = {"bf16", "fp8", "int8", "int4", "tq4", "tq3", "tq2"};
  std::vector<std::string> layers = {"local", "global", "both"};
  std::string reference = "f16";
  bool exact = false;
  bool json = false;
};

struct Row {
  std::string codec, layers;
  KvChoice choice;
  std::optional<KvQuality> quality;
  std::optional<Retrieval> retrieval;
};

std::vector<Row> rows_of(const Command& command) {
  const KvCodecs reference = kv_codecs_from_name(command.reference);
  std::vector<Row> rows;
  for (const std::string& layers : command.layers) {
    for (const std::string& name : command.codecs) {
      const KvCodecs codecs = kv_codecs_from_name(name);
      rows.push_back({name, layers, {layers == "global" ? reference : codecs, layers == "local" ? reference : codecs}, {}, {}});
    }
  }
  return rows;
}

EngineOptions with(EngineOptions options, const KvChoice& choice) {
  options.kv_local = choice.local;
  options.kv_global = choice.global;
  return options;
}

void compare(const Command& command, const std::shared_ptr<const Model>& model, const std::string& text, std::vector<Row>& rows) {
  constexpr size_t kTogether = 8;  // engines beside the reference's: their logits take memory
  const KvCodecs reference = kv_codecs_from_name(command.reference);
  for (size_t begin = 0; begin < rows.size(); begin += kTogether) {
    const size_t end = std::min(rows.size(), begin + kTogether);
    ProgressBar bar(ProgressUnit::tokens);
    KvQualityJob job{text, command.context, {}, bar.callback()};
    for (size_t i = begin; i < end; ++i) job.choices.push_back(rows[i].choice);
    const std::vector<KvQuality> found = measure_kv_quality(model, with(command.model.engine_options(), {reference, reference}), job);
    for (size_t i = begin; i < end; ++i) rows[i].quality = found[i - begin];
  }
}

void ask(const Command& command, const std::shared_ptr<const Model>& model, const std::string& text, std::vector<Row>& rows) {
  const KvCodecs reference = kv_codecs_from_name(command.reference);
  rows.insert(rows.begin(), {command.reference, "both", {reference, reference}, {}, {}});
  for (Row& row : rows) {
    ProgressBar bar(ProgressUnit::tokens);
    RetrievalJob job{.text = text, .context = command.notes, .progress = bar.callback()};
    row.retrieval = measure_retrieval(model, with(command.model.engine_options(), row.choice), job);
  }
}

nlohmann::ordered_json json_of(const Row& row) {
  nlohmann::ordered_json object = {{"codec", row.codec}, {"layers", row.layers}};
  if (row.quality) {
    object["mean_kl"] = row.quality->mean_kl;
    object["same_top"] = row.quality->same_top;
    object["bytes_per_token"] = row.quality->bytes_per_token;
  }
  if (row.retrieval) {
    object["found"] = row.retrieval->found;
    object["answer_log_prob"] = row.retrieval->log_prob;
  }
  return object;
}

std::string text_of(const Command& command, const std::vector<Row>& rows) {
  const bool compared = rows.back().quality.has_value();
  std::vector<Table::Column> columns = {{"codec", Table::Align::left}, {"layers", Table::Align::left}};
  if (compared) columns.insert(columns.end(), {{"mean KL"}, {"same token"}, {"B/token"}});
  if (command.notes > 0) columns.insert(columns.end(), {{"1st quarter"}, {"2nd"}, {"3rd"}, {"4th"}, {"log prob"}});
  Table table(columns);
  for (const Row& row : rows) {
    std::vector<std::string> cells = {row.codec, row.layers};
    if (compared) {
      if (row.quality) {
        cells.insert(cells.end(), {fmt::format("{:.2e}", row.quality->mean_kl), fmt::format("{:.1f} %", 100 * row.quality->same_top),
                                   count_text(static_cast<int64_t>(row.quality->bytes_per_token))});
      } else {
        cells.insert(cells.end(), {"-", "-", "-"});
      }
    }
    if (row.retrieval) {
      double log_prob = 0;
      for (size_t band = 0; band < row.retrieval->found.size(); ++band) {
        cells.push_back(fmt::format("{}", row.retrieval->found[band]));
        log_prob += row.retrieval->log_prob[band] / static_cast<double>(row.retrieval->found.size());
      }
      cells.push_back(fmt::format("{:.2f}", log_prob));
    }
    table.add_row(cells);
  }
  return table.text();
}

int run(const Command& command) {
  if (command.context == 0 && command.notes == 0) throw UsageError("nothing to measure: -c and --notes are both 0");
  const std::optional<std::string> text = read_text_input(std::nullopt, command.file);
  if (!text) throw UsageError("no text: give a file with -f, or a pipe");
  const std::shared_ptr<const Model> model = command.model.load();
  std::vector<Row> rows = rows_of(command);
  if (command.context > 0) compare(command, model, *text, rows);
  if (command.notes > 0) ask(command, model, *text, rows);
  if (!command.json) {
    write_output(text_of(command, rows));
    return 0;
  }
  nlohmann::ordered_json object = {{"model", display_name(model->facts())},    {"context", command.context},
                                   {"notes_context", command.notes},           {"reference", command.reference},
                                   {"kernels", std::string(model->kernels())}, {"exact", command.exact},
                                   {"newest_tokens", command.model.kv_newest}};
  object["results"] = nlohmann::ordered_json::array();
  for (const Row& row : rows) object["results"].push_back(json_of(row));
  write_json(object);
  return 0;
}

}  // namespace

void add_kv_quality_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("kv-quality", "what narrower keys and values cost in quality");
  const auto options = std::make_shared<Command>();
  options->model.add_model(*command);
  command->add_option("-f,--file", options->file, "the text; - is stdin")->type_name("FILE");
  command->add_option("-c,--context", options->context, "tokens to compare; 0: none")
      ->type_name("N")
      ->check(whole_number(0, EngineLimits::kMostContextTokens))
      ->capture_default_str();
  command->add_option("--notes", options->notes, "tokens of the text with notes; 0: no questions")
      ->type_name("N")
      ->check(whole_number(0, EngineLimits::kMostContextTokens))
      ->capture_default_str();
  command->add_option("--codecs", options->codecs, "codecs to measure")->type_name("CODEC...")->check(kv_codecs())->capture_default_str();
  command->add_option("--layers", options->layers, "where: local, global or both")
      ->type_name("KIND...")
      ->check(CLI::IsMember({"local", "global", "both"}))
      ->capture_default_str();
  command->add_option("--reference", options->reference, "what they are compared with")
      ->type_name("CODEC")
      ->check(kv_codecs())
      ->capture_default_str();
  add_newest(*command, options->model.kv_newest);
  options->model.add_machine(*command);
  command->add_flag("--exact", options->exact,
                    "unfold the weights to f32, so that no activation is quantized: what is left is the codec's own cost\n"
                    "(four bytes per weight, and slow; the same as --quant f32)");
  command->add_flag("--json", options->json, "one JSON object on stdout");
  command->footer(kExamples);
  command->callback([options, &chosen] {
    if (options->exact) options->model.quant = "f32";
    chosen = [options] { return run(*options); };
  });
}

}  // namespace fovea::cli
