#include "cli/model_options.h"

#include <algorithm>
#include <filesystem>

#include "cli/option_checks.h"
#include "cli/progress_bar.h"
#include "fovea/catalogue.h"
#include "fovea/plan.h"

namespace fovea::cli {

void ModelOptions::add_model(CLI::App& command) {
  command
      .add_option("-m,--model", model,
                  "a .gguf file, a folder with config.json and safetensors, or the name of\n"
                  "an installed model (see fovea models list)")
      ->type_name("MODEL")
      ->capture_default_str();
}

void ModelOptions::add_machine(CLI::App& command) {
  command.add_option("-t,--threads", threads, "threads that compute; 0: all processors this process may use")
      ->type_name("N")
      ->check(whole_number(0, EngineLimits::kMostThreads));
  command.add_option("--kernels", kernels, "force an instruction set: scalar, avx2, avx512 or avx512bf16 (default: the best here)")
      ->type_name("NAME");
  command
      .add_option("--quant", quant,
                  "quantize the matrices of a folder as they are loaded, such as q8_0 or q4_k_m: the same\n"
                  "as fovea convert --quant beforehand; f32 also unfolds those of a .gguf file")
      ->type_name("NAME");
}

void ModelOptions::add_cache(CLI::App& command) {
  CLI::Option* both = command
                          .add_option("--kv", kv,
                                      "how keys and values are stored: f32, f16, bf16 (default), fp8, int8, int4, tq4, tq3 or tq2,\n"
                                      "k=CODEC,v=CODEC for keys and values apart, or auto: the best that fits this machine")
                          ->type_name("CODEC")
                          ->check(CLI::IsMember({"auto"}) | kv_codecs());
  command.add_option("--kv-local", kv_local, "the same for sliding-window layers")
      ->type_name("CODEC")
      ->check(kv_codecs())
      ->excludes(both)
      ->capture_default_str();
  command.add_option("--kv-global", kv_global, "the same for layers that see everything")
      ->type_name("CODEC")
      ->check(kv_codecs())
      ->excludes(both)
      ->capture_default_str();
  add_newest(command, kv_newest);
  command.add_option("--chunk", chunk, "most tokens of a prompt computed in one step")
      ->type_name("N")
      ->check(whole_number(1, EngineLimits::kMostChunkTokens))
      ->capture_default_str();
  command
      .add_option("--cache", cache,
                  "keys and values kept for later requests, such as 500MB; 0: only where running\n"
                  "requests leave room (default: as much again as they need)")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(true))
      ->check(whole_number(0, EngineLimits::kMostCacheBytes));
  command.add_flag("--static-cache", static_cache,
                   "keys and values of one sequence, set aside as a whole and resident from the start;\n"
                   "nothing is kept for later requests");
  add_eviction(command, evict, eviction);
}

CLI::Option* add_newest(CLI::App& command, int& tokens) {
  return command
      .add_option("--kv-newest", tokens,
                  "newest tokens that layers with narrow keys keep in bf16 as well, and read there; 0: none\n"
                  "(default: 16 where keys or values have less than 8 bits)")
      ->type_name("N")
      ->check(whole_number(0, EngineLimits::kMostNewestTokens));
}

void add_eviction(CLI::App& command, std::string& policy, EvictionOptions& options) {
  command
      .add_option("--evict", policy,
                  "what layers that see everything forget beyond a budget: none, streaming\n"
                  "(all but the first and the newest tokens), h2o (what was attended to least)\n"
                  "or scissorhands (what lately was not attended to). Approximate, and endless")
      ->type_name("POLICY")
      ->check(CLI::IsMember({"none", "streaming", "h2o", "scissorhands"}))
      ->capture_default_str();
  const auto tokens = [&](const char* name, int& value, const char* help, long long least) {
    command.add_option(name, value, help)
        ->type_name("N")
        ->check(whole_number(least, EngineLimits::kMostContextTokens))
        ->capture_default_str();
  };
  tokens("--kv-budget", options.budget_tokens, "with --evict: most tokens such a layer holds", 1);
  tokens("--kv-budget-local", options.local_budget_tokens,
         "with --evict: the same of sliding-window layers, less than their window; 0: these forget\n"
         "nothing but what leaves their window",
         0);
  tokens("--sinks", options.sinks, "with --evict: first tokens that are never forgotten", 0);
  tokens("--recent", options.recent_tokens, "with --evict h2o, scissorhands: newest tokens never forgotten; 0: half", 0);
  tokens("--evict-interval", options.interval_tokens, "with --evict: tokens forgotten at a time", 1);
}

EvictionOptions eviction_options(const std::string& policy, EvictionOptions options) {
  options.policy = eviction_policy_from_name(policy);
  return options;
}

std::shared_ptr<const Model> ModelOptions::load(int context_tokens, long long cache_bytes) const {
  const std::string path = resolve_model(model);
  PlanOptions plan;
  plan.context_tokens = std::max(1, context_tokens);
  plan.chunk_tokens = chunk;
  plan.kv_local = kv.empty() || kv_auto() ? kv_local : kv;
  plan.kv_global = kv.empty() || kv_auto() ? kv_global : kv;
  plan.kv_newest_tokens = kv_newest;
  plan.threads = std::min(threads, EngineLimits::kMostThreads);
  plan.eviction = eviction_options(evict, eviction);
  if (cache_bytes > 0) plan.cache_bytes = cache_bytes;
  const Planner planner = Planner::open(path, quant);
  if (kv_auto()) plan = planner.best_codecs(plan, free_memory_bytes());
  planner.require_fit(plan, free_memory_bytes());
  ProgressBar bar(ProgressUnit::bytes);
  LoadOptions options;
  options.threads = threads;
  options.kernels = kernels;
  options.quant = quant;
  options.progress = bar.callback();
  return Model::load(path, options);
}

EngineOptions ModelOptions::engine_options() const {
  EngineOptions options;
  options.threads = threads;
  options.chunk_tokens = chunk;
  options.cache_bytes = cache;
  options.kv_auto = kv_auto();
  options.kv_local = kv_codecs_from_name(kv.empty() || kv_auto() ? kv_local : kv);
  options.kv_global = kv_codecs_from_name(kv.empty() || kv_auto() ? kv_global : kv);
  options.kv_newest_tokens = kv_newest;
  options.static_cache = static_cache;
  options.eviction = eviction_options(evict, eviction);
  return options;
}

std::string display_name(const ModelFacts& facts) {
  if (!facts.name.empty()) return facts.name;
  const std::filesystem::path path(facts.path);
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace fovea::cli
