// Options that every command with a model has.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "fovea/model.h"
#include "fovea/options.h"

namespace fovea::cli {

struct ModelOptions {
  std::string model = "gemma3-270m";
  std::string kernels;
  std::string quant;
  int threads = 0;
  std::string kv, kv_local = "bf16", kv_global = "bf16";
  int kv_newest = EngineOptions::kUsualNewest;
  int chunk = 512;
  long long cache = EngineOptions::kAsMuchAgain;
  bool static_cache = false;
  std::string evict = "none";
  EvictionOptions eviction;

  void add_model(CLI::App& command);    // -m
  void add_machine(CLI::App& command);  // -t --kernels --quant
  void add_cache(CLI::App& command);    // --kv --kv-local --kv-global --chunk --cache --static-cache, add_newest and add_eviction

  // With a progress bar, once the plan fits this machine: with this context, and this much kept for later requests, as far as
  // they are known before the weights are read. errors: Error; Stopped after Ctrl-C
  std::shared_ptr<const Model> load(int context_tokens = 1, long long cache_bytes = 0) const;
  EngineOptions engine_options() const;

 private:
  bool kv_auto() const { return kv == "auto"; }
};

// --kv-newest
CLI::Option* add_newest(CLI::App& command, int& tokens);
// --evict --kv-budget --sinks --recent --evict-interval
void add_eviction(CLI::App& command, std::string& policy, EvictionOptions& options);
// With the policy of that name.
EvictionOptions eviction_options(const std::string& policy, EvictionOptions options);

// What a model is called in output: its own name, else the file's.
std::string display_name(const ModelFacts& facts);

}  // namespace fovea::cli
