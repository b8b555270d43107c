// fovea inspect: what is in a model file, and the table of its layers; what is in a session file.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/explanation.h"
#include "cli/figure_file.h"
#include "cli/layer_table.h"
#include "cli/model_options.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/quantity.h"
#include "cli/session_report.h"
#include "cli/terminal.h"
#include "fovea/catalogue.h"
#include "fovea/model.h"
#include "fovea/plan.h"
#include "fovea/session.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "Only headers are read, so this is quick for files of any size.\n"
    "\n"
    "Examples:\n"
    "  fovea inspect gemma3-270m\n"
    "  fovea inspect model.gguf --json\n"
    "  fovea inspect gemma3-270m --explain --svg layers.svg\n"
    "  fovea inspect folder-with-config-and-safetensors\n"
    "  fovea inspect --session talk.fovea\n"
    "  fovea inspect --session talk.fovea -m smollm2 --json\n";

struct InspectOptions {
  std::string model;
  std::optional<std::string> session;
  std::string kv_local = "bf16", kv_global = "bf16";
  int kv_newest = EngineOptions::kUsualNewest;
  bool json = false;
  bool explain = false;
  std::string svg;
};

nlohmann::ordered_json json_of(const LayerFacts& layer) {
  const auto or_null = [](const std::optional<int>& value) { return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(); };
  return {{"index", layer.index},
          {"kind", layer.kind},
          {"window", or_null(layer.window)},
          {"q_heads", layer.q_heads},
          {"kv_heads", layer.kv_heads},
          {"head_dim", layer.head_dim},
          {"rope_base", layer.rope_base},
          {"rope_scale", layer.rope_scale},
          {"cache_bytes_per_token", layer.cache_bytes_per_token},
          {"shares_with", or_null(layer.shares_with)},
          {"rope_dims", layer.rope_dims},
          {"state_bytes", layer.state_bytes},
          {"values_in_keys", layer.values_in_keys},
          {"sinks", layer.sinks},
          {"score_softcap", layer.score_softcap},
          {"experts", layer.experts},
          {"experts_used", layer.experts_used}};
}

nlohmann::ordered_json json_of(const TensorTotals& totals) {
  return {{"tensors", totals.tensors}, {"values", totals.values}, {"bytes", totals.bytes}};
}

nlohmann::ordered_json json_of(const ModelFacts& facts) {
  nlohmann::ordered_json object = {{"path", facts.path},
                                   {"family", facts.family},
                                   {"name", facts.name},
                                   {"context_tokens", facts.context_tokens},
                                   {"vocabulary", facts.vocabulary},
                                   {"hidden", facts.hidden}};
  object["tensors"] = json_of(facts.tensors);
  object["tensors_by_format"] = nlohmann::ordered_json::object();
  for (const auto& [format, totals] : facts.tensors_by_format) {
    object["tensors_by_format"][format] = json_of(totals);
  }
  object["layers"] = nlohmann::ordered_json::array();
  for (const LayerFacts& layer : facts.layers) object["layers"].push_back(json_of(layer));
  return object;
}

std::string formats_text(const ModelFacts& facts) {
  std::string text;
  for (const auto& [format, totals] : facts.tensors_by_format) {
    text += fmt::format("{}{} {} ({})", text.empty() ? "" : ", ", totals.tensors, format, bytes_text(static_cast<double>(totals.bytes)));
  }
  return text;
}

std::string text_of(const ModelFacts& facts) {
  std::string text;
  const auto line = [&](const char* label, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<11} {}\n", label, value);
  };
  line("model", facts.name);
  line("path", facts.path);
  line("family", facts.family);
  line("weights", fmt::format("{} values, {}", count_text(facts.tensors.values), bytes_text(static_cast<double>(facts.tensors.bytes))));
  line("tensors", formats_text(facts));
  line("vocabulary", count_text(facts.vocabulary));
  line("hidden", count_text(facts.hidden));
  line("context", fmt::format("{} tokens", count_text(facts.context_tokens)));
  return text + "\n" + layer_table(facts.layers) + "\n" + cache_summary(facts.layers);
}

// Whether a session belongs to a model is told by the weights, so they are loaded.
std::optional<std::string> misfit_of(const SessionFacts& session, const InspectOptions& options) {
  if (options.model.empty()) return std::nullopt;
  EngineOptions engine;
  engine.kv_local = kv_codecs_from_name(options.kv_local);
  engine.kv_global = kv_codecs_from_name(options.kv_global);
  engine.kv_newest_tokens = options.kv_newest;
  return why_not_continued(session, *Model::load(resolve_model(options.model)), engine);
}

int run_session(const InspectOptions& options) {
  const SessionFacts session = inspect_session(*options.session);
  const std::optional<std::string> misfit = misfit_of(session, options);
  if (options.json) {
    write_json(session_json(session, misfit));
  } else {
    write_output(without_controls(session_text(session, misfit)));
  }
  return session.damage.empty() ? 0 : 1;
}

int run(const InspectOptions& options) {
  if (options.session) return run_session(options);
  if (options.model.empty()) throw UsageError("name a model, or a session with --session");
  const std::string path = resolve_model(options.model);
  const ModelFacts facts = inspect_model(path);
  if (!options.svg.empty()) write_figure(options.svg, layers_figure(Planner::open(path), {}), "Fovea: layers");
  if (options.json) {
    write_json(json_of(facts));
  } else if (options.explain) {
    write_output(without_controls(explanation_of(facts)));
  } else {
    write_output(without_controls(text_of(facts)));
  }
  return 0;
}

}  // namespace

void add_inspect_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("inspect", "what is in a model file, and the table of its layers");
  const auto options = std::make_shared<InspectOptions>();
  command->add_option("model,-m,--model", options->model, "a .gguf file, a folder, or the name of an installed model")->type_name("MODEL");
  command->add_flag("--json", options->json, "one JSON object on stdout, with every layer");
  command->add_flag("--explain", options->explain, "in plain words: what each layer sees, keeps and shares")->excludes("--json");
  command->add_option("--svg", options->svg, "also draw the layers, what each keeps at the usual context: a .svg or .html file")
      ->type_name("FILE");
  command
      ->add_option("--session", options->session,
                   "what is in this session file; with a model: whether it can be continued with it.\n"
                   "Exit status 1 when it is damaged")
      ->type_name("FILE");
  command->add_option("--kv-local", options->kv_local, "with --session and a model: as fovea run would be asked")
      ->type_name("CODEC")
      ->check(kv_codecs())
      ->needs("--session")
      ->capture_default_str();
  command->add_option("--kv-global", options->kv_global, "likewise")
      ->type_name("CODEC")
      ->check(kv_codecs())
      ->needs("--session")
      ->capture_default_str();
  add_newest(*command, options->kv_newest)->needs("--session");
  command->footer(kExamples);
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace fovea::cli
