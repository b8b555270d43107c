// fovea synth: a model of a known shape with random weights.
#include <fmt/format.h>

#include <limits>
#include <memory>

#include "cli/commands.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "fovea/synthetic.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "The file loads and runs like the real one, here and in other engines that read GGUF, and says nothing:\n"
    "it is for timing and planning sizes that are not at hand. Formats per matrix are those of llama.cpp's\n"
    "mixtures of the same name.\n"
    "\n"
    "Examples:\n"
    "  fovea synth --like gemma3-4b --quant q4_k_m gemma3-4b.gguf\n"
    "  fovea synth --like gemma3-27b --layers 6 slice.gguf\n"
    "  fovea bench -m slice.gguf -p 512 -n 32\n";

struct SynthOptions {
  SyntheticOptions model;
  std::string path;
  bool dry_run = false, json = false;
};

std::string shape_names() {
  std::string names;
  for (const SyntheticShape& shape : synthetic_shapes()) {
    names += (names.empty() ? "" : ", ") + std::string(shape.name);
    if (!shape.alias.empty()) names += fmt::format(" ({})", shape.alias);
  }
  return names;
}

std::string quant_names() {
  std::string names;
  for (const std::string_view name : synthetic_quants()) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

SyntheticModel make(const SynthOptions& options) {
  if (options.dry_run) return describe_synthetic_model(options.model);
  ProgressBar bar(ProgressUnit::bytes);
  return write_synthetic_model(options.model, options.path, bar.callback());
}

int run(const SynthOptions& options) {
  if (options.path.empty() && !options.dry_run) throw UsageError("no OUT.gguf: name the file to write");
  const SyntheticModel model = make(options);
  if (options.json) {
    write_json({{"name", model.name},
                {"path", options.path},
                {"tensors", model.tensors},
                {"values", model.values},
                {"file_bytes", model.file_bytes}});
  } else {
    write_output(fmt::format("{}: {} values in {} tensors, {}\n", model.name, count_text(model.values), model.tensors,
                             bytes_text(static_cast<double>(model.file_bytes))));
  }
  return 0;
}

}  // namespace

void add_synth_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("synth", "write a model of a known shape with random weights");
  const auto options = std::make_shared<SynthOptions>();
  SyntheticOptions& model = options->model;
  command->add_option("--like", model.like, "the shape: " + shape_names())->type_name("NAME")->required();
  command->add_option("--quant", model.quant, "formats of the matrices: " + quant_names())->type_name("NAME")->capture_default_str();
  command->add_flag("--pure", model.pure, "every matrix in the base format of --quant");
  command->add_option("--layers", model.layers, "layers; 0: as the original")->type_name("N")->check(whole_number(0, 10'000));
  command->add_option("--vocabulary", model.vocabulary, "tokens; 0: as the original")->type_name("N")->check(whole_number(0, 1 << 24));
  command->add_option("--seed", model.seed, "the same seed gives the same file")
      ->type_name("S")
      ->check(whole_number(0, std::numeric_limits<long long>::max()))
      ->capture_default_str();
  command->add_option("-t,--threads", model.threads, "threads; 0: all processors")->type_name("N")->check(whole_number(0, 1024));
  command->add_flag("--dry-run", options->dry_run, "say what would be written, and write nothing");
  command->add_flag("--json", options->json, "one JSON object on stdout");
  command->add_option("out", options->path, "the file to write")->type_name("OUT.gguf");
  command->footer(kExamples);
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace fovea::cli
