// fovea convert: a Hugging Face folder as one GGUF file.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/terminal.h"
#include "fovea/conversion.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "The file holds weights, tokenizer and chat template, and computes the same here and in llama.cpp. What the format\n"
    "cannot say of a model is refused. --quant takes a mixture (q4_k_m: better formats for the matrices that are\n"
    "worth it) or one format for all (q8_0); without it matrices stay as they are in the folder.\n"
    "\n"
    "Examples:\n"
    "  fovea convert gemma-3-1b-it gemma-3-1b-it.gguf\n"
    "  fovea convert Llama-3.2-1B llama-3.2-1b.q4_k_m.gguf --quant q4_k_m\n"
    "  fovea run -m llama-3.2-1b.q4_k_m.gguf -p \"The sea at night is\"\n";

struct ConvertOptions {
  ConversionOptions conversion;
  std::string folder, path;
  bool json = false;
};

int run(const ConvertOptions& options) {
  ProgressBar bar(ProgressUnit::bytes);
  const ConvertedModel made = convert_model(options.folder, options.path, options.conversion, bar.callback());
  bar.clear();
  if (options.json) {
    write_json({{"name", made.name},
                {"path", options.path},
                {"architecture", made.architecture},
                {"tokenizer", made.tokenizer},
                {"tensors", made.tensors},
                {"values", made.values},
                {"file_bytes", made.file_bytes}});
    return 0;
  }
  write_output(without_controls(fmt::format("{}: {} values in {} tensors, {}, {}\n", made.name, count_text(made.values), made.tensors,
                                            bytes_text(static_cast<double>(made.file_bytes)),
                                            made.tokenizer.empty() ? "no tokenizer" : "tokenizer of the kind " + made.tokenizer)));
  return 0;
}

}  // namespace

void add_convert_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("convert", "write a Hugging Face folder as a GGUF file");
  const auto options = std::make_shared<ConvertOptions>();
  command->add_option("folder", options->folder, "holds config.json, *.safetensors and the tokenizer's files")
      ->type_name("FOLDER")
      ->required();
  command->add_option("out", options->path, "the file to write")->type_name("OUT.gguf")->required();
  command->add_option("--quant", options->conversion.quant, "formats of the matrices, such as f16, q8_0 or q4_k_m")->type_name("NAME");
  command
      ->add_option("--pre", options->conversion.pre_tokenizer,
                   "how a byte-level tokenizer cuts texts, by llama.cpp's name, where it is not recognised")
      ->type_name("NAME");
  command->add_flag("--no-window", options->conversion.no_window,
                    "leave sliding windows out where the format has none, and end the context with the window");
  command->add_option("-t,--threads", options->conversion.threads, "threads; 0: all processors")
      ->type_name("N")
      ->check(whole_number(0, 256));
  command->add_flag("--json", options->json, "one JSON object on stdout");
  command->footer(kExamples);
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace fovea::cli
