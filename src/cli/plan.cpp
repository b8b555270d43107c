// fovea plan: where memory goes, before it goes.
#include "fovea/plan.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "cli/figure_file.h"
#include "cli/memory_size.h"
#include "cli/model_options.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/plan_report.h"
#include "cli/quantity.h"
#include "cli/terminal.h"
#include "fovea/catalogue.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "Headers are read, weights are not: any size is planned in a moment, and nothing is allocated.\n"
    "MODEL may also be a bare config.json or the name of a configuration that is built in (--list).\n"
    "\n"
    "Examples:\n"
    "  fovea plan gemma3-4b -c 131072 --weights q4_k_m\n"
    "  fovea plan model.gguf -c 32768 --sequences 8 --fit --ram 16GiB\n"
    "  fovea plan lesson-30 -c 131072 --ratio 3:1 --window 4096\n"
    "  fovea plan llama3-8b -c 131072 --compare\n"
    "  fovea plan gemma3-4b gemma3-27b llama3-8b --figure memory --out memory.svg\n";

struct PlanCommand {
  std::vector<std::string> models;
  PlanOptions options;
  std::string kv, quant, evict = "none", ram, ratio, k_eq_v, figure, out;
  std::optional<int64_t> cache;
  bool fit = false, compare = false, list = false, json = false, no_probe = false;
};

// A file or folder, an installed model, else the name of a configuration.
std::string plannable(const std::string& model) {
  std::error_code ignored;
  if (std::filesystem::exists(model, ignored)) return model;
  const auto installed = installed_path(model);
  return installed ? installed->string() : model;
}

std::optional<std::pair<int, int>> ratio_from(const std::string& text) {
  std::pair<int, int> ratio;
  int read = 0;
  if (std::sscanf(text.c_str(), "%4d:%4d%n", &ratio.first, &ratio.second, &read) != 2) return std::nullopt;
  if (read != static_cast<int>(text.size()) || ratio.first < 0 || ratio.second < 0 || ratio.first + ratio.second == 0) return std::nullopt;
  return ratio;
}

CLI::Validator is_ratio() {
  CLI::Validator validator([](const std::string& text) { return ratio_from(text) ? std::string() : text + " is not a ratio such as 5:1"; },
                           "");
  validator.non_modifying();
  return validator;
}

std::string figure_of(const PlanCommand& command) {
  std::vector<Planner> planners;
  for (const std::string& model : command.models) planners.push_back(Planner::open(plannable(model), command.quant));
  if (command.figure == "memory") return memory_figure(planners, command.options);
  if (command.figure == "bars") return bars_figure(planners.front(), command.options);
  return layers_figure(planners.front(), command.options);
}

int draw(const PlanCommand& command) {
  if (command.out.empty()) throw UsageError("--figure needs --out F.svg or F.html");
  write_figure(command.out, figure_of(command), "Fovea: " + command.figure);
  return 0;
}

std::optional<PlanSpeed> speed_of(const PlanCommand& command, const Plan& plan) {
  if (command.no_probe) return std::nullopt;
  const double bytes_per_s = measured_read_bytes_per_s(plan.threads);
  return PlanSpeed{bytes_per_s * 1e-9, estimated_tokens_per_s(plan, bytes_per_s)};
}

int list_configurations() {
  for (const KnownConfiguration& known : known_configurations()) {
    write_output(fmt::format("{:<16}{}\n", known.name, known.source));
  }
  return 0;
}

void report_fit(const PlanCommand& command, const Planner& planner, const Plan& plan, int64_t memory, nlohmann::ordered_json& object,
                std::string& text) {
  PlanOptions options = command.options;
  options.shared_prefix_tokens = 0;
  const int context = planner.longest_context(options, memory), sequences = planner.most_sequences(command.options, memory);
  const std::vector<PlanChange> changes = planner.changes_that_fit(command.options, memory);
  object["fit"] = {
      {"memory_bytes", memory}, {"fits", plan.total_bytes <= memory}, {"longest_context", context}, {"most_sequences", sequences}};
  object["fit"]["changes"] = nlohmann::ordered_json::array();
  for (const PlanChange& change : changes) object["fit"]["changes"].push_back(json_of(change));
  text += fmt::format("\nin {}: up to {} tokens with {} sequence{}, or {} sequences of {} tokens\n", memory_text(memory),
                      count_text(context), plan.sequences, plan.sequences == 1 ? "" : "s", sequences, count_text(plan.context_tokens));
  if (!changes.empty()) text += "\n" + changes_table(changes);
}

int run(PlanCommand command) {
  if (command.list) return list_configurations();
  if (command.models.empty()) throw UsageError("no MODEL: name a file, a folder or a configuration (--list)");
  if (!command.ratio.empty()) command.options.what_if.ratio = ratio_from(command.ratio);
  if (!command.k_eq_v.empty()) command.options.what_if.k_eq_v = command.k_eq_v == "on";
  command.options.eviction = eviction_options(command.evict, command.options.eviction);
  if (!command.kv.empty() && command.kv != "auto") command.options.kv_local = command.options.kv_global = command.kv;
  command.options.cache_bytes = command.cache;
  if (!command.figure.empty()) return draw(command);
  if (command.models.size() > 1) throw UsageError("more than one MODEL: only --figure memory takes several");

  const Planner planner = Planner::open(plannable(command.models.front()), command.quant);
  const int64_t memory = command.ram.empty() ? free_memory_bytes() : memory_size(command.ram).value();
  if (command.kv == "auto") command.options = planner.best_codecs(command.options, memory);
  const Plan plan = planner.plan(command.options);
  const std::optional<PlanSpeed> speed = speed_of(command, plan);
  nlohmann::ordered_json object = json_of(plan);
  object["memory_bytes"] = memory;
  object["fits"] = plan.total_bytes <= memory;
  if (speed) {
    object["read_gb_per_s"] = speed->read_gb_per_s;
    object["estimated_tokens_per_s"] = speed->tokens_per_s;
  }
  std::string text = plan_table(plan, speed, memory);
  if (command.fit) report_fit(command, planner, plan, memory, object, text);
  if (command.compare) {
    const std::vector<AttentionKindRow> kinds = planner.attention_kinds(command.options);
    text += "\nthe same dimensions, other ways to keep state:\n" + kinds_table(kinds);
    for (const AttentionKindRow& row : kinds) {
      object["kinds"].push_back(
          {{"name", row.name}, {"what", row.what}, {"kv_bytes", row.plan.kv_bytes}, {"read_bytes_per_token", row.plan.read_bytes}});
    }
  }
  if (command.json) {
    write_json(object);
  } else {
    write_output(without_controls(text));
  }
  return 0;
}

}  // namespace

void add_plan_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("plan", "where memory goes, what fits, and what a token costs");
  const auto plan = std::make_shared<PlanCommand>();
  PlanOptions& options = plan->options;
  command->add_option("model,-m,--model", plan->models, "a .gguf file, a folder, a config.json, or a name (--list)")->type_name("MODEL");
  const auto number_option = [&](const char* name, auto& value, const char* help, long long least, long long most) {
    return command->add_option(name, value, help)->type_name("N")->check(whole_number(least, most));
  };
  number_option("-c,--context", options.context_tokens, "tokens of every sequence; 0: the model's limit, at most 8192", 0, 1 << 24);
  number_option("--sequences", options.sequences, "sequences that live together", 1, 4096)->capture_default_str();
  number_option("--shared-prefix", options.shared_prefix_tokens, "tokens that all sequences begin with", 0, 1 << 24);
  number_option("--chunk", options.chunk_tokens, "most tokens of a prompt computed in one step", 1, 65536)->capture_default_str();
  number_option("-t,--threads", options.threads, "threads that compute; 0: all processors", 0, 256);
  std::string codecs;
  for (const KvCodecFacts& codec : kv_codec_facts()) codecs += (codecs.empty() ? "" : ", ") + std::string(codec.name);
  CLI::Option* both =
      command->add_option("--kv", plan->kv, "codec of keys and values: " + codecs + ", k=CODEC,v=CODEC, or auto: the best that fits --ram")
          ->type_name("CODEC")
          ->check(CLI::IsMember({"auto"}) | kv_codecs());
  command->add_option("--kv-local", options.kv_local, "codec of layers with a window")
      ->type_name("CODEC")
      ->check(kv_codecs())
      ->excludes(both)
      ->capture_default_str();
  command->add_option("--kv-global", options.kv_global, "codec of layers that see everything")
      ->type_name("CODEC")
      ->check(kv_codecs())
      ->excludes(both)
      ->capture_default_str();
  add_newest(*command, options.kv_newest_tokens);
  command->add_option("--weights", options.weights, "another format for all matrices, such as q4_k_m, q8_0 or bf16")->type_name("FORMAT");
  command->add_option("--quant", plan->quant, "a folder's matrices as they are with the same option of fovea run")->type_name("NAME");
  add_eviction(*command, plan->evict, options.eviction);
  command->add_option("--cache", plan->cache, "also count what is kept for later requests, as with the same option of fovea run")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(true))
      ->check(whole_number(0, EngineLimits::kMostCacheBytes));
  command->add_option("--ram", plan->ram, "memory to fit into, such as 16GiB; otherwise what is free here")
      ->type_name("SIZE")
      ->check(is_memory_size());
  command->add_flag("--fit", plan->fit, "the longest context and the most sequences that fit, and what to change");
  command->add_flag("--compare", plan->compare, "other ways to keep state (MHA, GQA, MLA, windows ...) for the same dimensions");
  command->add_option("--ratio", plan->ratio, "what if: local to global layers, such as 5:1")->type_name("L:G")->check(is_ratio());
  number_option("--window", options.what_if.window, "what if: window of local layers", 1, 1 << 24);
  number_option("--kv-heads", options.what_if.kv_heads, "what if: K/V heads of every layer", 1, 4096);
  number_option("--share-kv", options.what_if.shared_kv_layers, "what if: the last N layers read the K/V of earlier ones", 0, 9999);
  command->add_option("--k-eq-v", plan->k_eq_v, "what if: global layers keep keys and values as one stream")
      ->type_name("on|off")
      ->check(CLI::IsMember({"on", "off"}));
  command->add_option("--figure", plan->figure, "draw instead: memory (K/V against context), bars or layers")
      ->check(CLI::IsMember({"memory", "bars", "layers"}));
  command->add_option("--out", plan->out, "where the figure goes: .svg or .html")->type_name("FILE");
  command->add_flag("--list", plan->list, "the configurations that are built in");
  command->add_flag("--no-probe", plan->no_probe, "do not measure this machine's memory: no tokens/s");
  command->add_flag("--json", plan->json, "one JSON object on stdout");
  command->footer(kExamples);
  command->callback([plan, &chosen] { chosen = [plan] { return run(*plan); }; });
}

}  // namespace fovea::cli
