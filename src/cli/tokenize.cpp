// fovea tokenize: text to token ids, and back.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <memory>
#include <optional>
#include <sstream>

#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/text_input.h"
#include "fovea/catalogue.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  fovea tokenize -p \"Hello world\"\n"
    "  fovea tokenize -f book.txt --json\n"
    "  fovea tokenize -p \"Hello world\" | fovea tokenize --detokenize\n"
    "  fovea tokenize --detokenize 9259 1902\n";

struct TokenizeOptions {
  ModelOptions model;
  std::optional<std::string> text, file;
  std::vector<int32_t> ids;
  bool detokenize = false, special = false, no_bos = false, json = false;
};

std::vector<int32_t> ids_from_text(const std::string& text) {
  std::vector<int32_t> ids;
  std::istringstream words(text);
  std::string word;
  while (words >> word) {
    int32_t id = 0;
    if (!CLI::detail::lexical_cast(word, id)) throw UsageError("'" + word + "' is not a token id");
    ids.push_back(id);
  }
  return ids;
}

int tokenize(const TokenizeOptions& options, const Model& model) {
  const std::optional<std::string> text = read_text_input(options.text, options.file);
  if (!text) throw UsageError("nothing to tokenize: give a text with -p, a file with -f, or a pipe");
  const std::vector<int32_t> tokens = model.tokenize(*text, !options.no_bos, options.special);
  if (options.json) {
    write_json({{"tokens", tokens}});
  } else {
    write_output(fmt::format("{}\n", fmt::join(tokens, " ")));
  }
  return 0;
}

int detokenize(const TokenizeOptions& options, const Model& model) {
  std::vector<int32_t> ids = options.ids;
  if (ids.empty()) {
    const std::optional<std::string> text = read_text_input(std::nullopt, options.file);
    if (!text) throw UsageError("no token ids: give them as arguments, in a file with -f, or in a pipe");
    ids = ids_from_text(*text);
  }
  const std::string text = model.detokenize(ids, options.special);
  if (options.json) {
    write_json({{"text", text}});
  } else {
    write_output(is_terminal(Stream::out) ? without_controls(text) + "\n" : text);
  }
  return 0;
}

int run(const TokenizeOptions& options) {
  if (!options.detokenize && !options.ids.empty()) throw UsageError("token ids are only for --detokenize");
  const auto model = Model::load_text(resolve_model(options.model.model));
  return options.detokenize ? detokenize(options, *model) : tokenize(options, *model);
}

}  // namespace

void add_tokenize_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("tokenize", "text to token ids, and back");
  const auto options = std::make_shared<TokenizeOptions>();
  options->model.add_model(*command);
  command->add_option("-p,--prompt", options->text, "the text")->type_name("TEXT");
  command->add_option("-f,--file", options->file, "a file with it; - is stdin")->type_name("FILE")->excludes("--prompt");
  command->add_flag("--special", options->special,
                    "control tokens written in the text, such as <bos>, are meant as such;\n"
                    "with --detokenize: show them");
  command->add_flag("--no-bos", options->no_bos, "no token for the beginning of the text");
  command->add_flag("--detokenize", options->detokenize, "token ids to text, exactly; ids from arguments, -f or stdin");
  command->add_option("ids", options->ids, "token ids, for --detokenize")
      ->type_name("ID")
      ->check(whole_number(0, std::numeric_limits<int32_t>::max()));
  command->add_flag("--json", options->json, "one JSON object: {\"tokens\": [...]} or {\"text\": ...}");
  command->footer(kExamples);
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace fovea::cli
