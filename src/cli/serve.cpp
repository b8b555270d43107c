// fovea serve: models for the clients that people have.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "fovea/catalogue.h"
#include "fovea/error.h"
#include "fovea/plan.h"
#include "fovea/server.h"

namespace fovea::cli {
namespace {

constexpr const char* kKeysVariable = "FOVEA_API_KEYS";
constexpr const char* kExamples =
    "OpenAI's clients are pointed at http://127.0.0.1:8080/v1 (others: docs/serve.md). Ctrl-C or SIGTERM ends the\n"
    "server when answers under way are complete; a second one ends it at once.\n"
    "\n"
    "Examples:\n"
    "  fovea serve -m smollm2\n"
    "  fovea serve -m model.gguf --name my-model -c 32768 --sequences 16 --port 9000\n"
    "  fovea serve -m smollm2 -m gemma3-270m --memory 2GiB --keep-alive 600\n"
    "  FOVEA_API_KEYS=secret fovea serve -m smollm2 --host 0.0.0.0\n";
constexpr int kUsualSequences = 8;

struct ServeOptions {
  ModelOptions model;
  ServerOptions server;
  int context = 0, sequences = kUsualSequences;
  std::vector<std::string> models = {ModelOptions().model}, names;
  std::string key_file;
  bool quiet = false;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::vector<std::string> keys_of_file(const std::string& file) {
  std::ifstream lines(file);
  if (!lines) throw Error("cannot be read", file, "name a file with one API key on each line");
  std::vector<std::string> keys;
  for (std::string line; std::getline(lines, line);) {
    const std::string_view key = trimmed(line);
    if (!key.empty() && !key.starts_with('#')) keys.emplace_back(key);
  }
  if (keys.empty()) throw Error("holds no API key", file, "write one on each line, or leave --api-key-file out");
  return keys;
}

std::vector<std::string> keys_of_variable(const std::string& value) {
  std::istringstream parts(value);
  std::vector<std::string> keys;
  for (std::string part; std::getline(parts, part, ',');) {
    if (const std::string_view key = trimmed(part); !key.empty()) keys.emplace_back(key);
  }
  return keys;
}

// None: everybody may ask. Where somebody meant to set one and did not, that would be the wrong answer.
std::vector<std::string> api_keys(const std::string& file) {
  std::vector<std::string> keys;
  if (!file.empty()) keys = keys_of_file(file);
  const char* variable = std::getenv(kKeysVariable);
  if (!variable || *variable == '\0') return keys;
  const std::vector<std::string> more = keys_of_variable(variable);
  if (more.empty()) throw Error("holds no API key", kKeysVariable, "write keys with commas between, or unset it");
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

// Of a path, the file or folder; else as it stands.
std::string name_of_model(const std::string& model) {
  if (!std::filesystem::exists(model)) return model;
  const std::filesystem::path path(model);
  const std::string file = (path.has_filename() ? path : path.parent_path()).filename().string();
  return file.empty() ? "model" : file;
}

// What clients call each.
std::vector<std::string> names_of(const ServeOptions& options) {
  if (!options.names.empty() && options.names.size() != options.models.size()) {
    throw Error(fmt::format("the number of names is {}, of models {}", options.names.size(), options.models.size()), "--name",
                "give one for each -m, in their order, or none");
  }
  if (!options.names.empty()) return options.names;
  std::vector<std::string> names;
  for (const std::string& model : options.models) names.push_back(name_of_model(model));
  return names;
}

EngineOptions engine_options(const ServeOptions& options) {
  EngineOptions engine = options.model.engine_options();
  engine.context_tokens = options.context;
  engine.sequences = options.sequences;
  return engine;
}

std::unique_ptr<Server> with_its_model(ServeOptions& options, const std::string& name) {
  options.model.model = options.models.front();
  const std::shared_ptr<const Model> model = options.model.load(std::max(1, options.context));
  if (!model->has_tokenizer())
    throw Error("has no tokenizer", model->facts().path, "put tokenizer.json or tokenizer.model beside the weights");
  options.server.model_name = name;
  return std::make_unique<Server>(model, engine_options(options), options.server);
}

std::unique_ptr<Server> with_offers(const ServeOptions& options, const std::vector<std::string>& names) {
  LoadOptions load;
  load.threads = options.model.threads;
  load.kernels = options.model.kernels;
  load.quant = options.model.quant;
  std::vector<OfferedModel> models;
  for (size_t i = 0; i < names.size(); ++i) models.push_back({names[i], resolve_model(options.models[i]), load, engine_options(options)});
  return std::make_unique<Server>(std::move(models), options.server);
}

// "gemma3-270m"; of several "a (640 MiB), b (1.2 GiB), loaded when they are asked for, within 2.0 GiB,"
std::string offer_text(const Server& server) {
  const std::vector<Server::Offer> offers = server.offers();
  if (offers.size() == 1) return offers.front().name;
  std::string text;
  for (const Server::Offer& offer : offers) text += fmt::format("{} ({}), ", offer.name, memory_text(offer.plan_bytes));
  return fmt::format("{}loaded when they are asked for, within {},", text, memory_text(server.memory_bytes()));
}

int serve_model(ServeOptions options) {
  ServerOptions& server = options.server;
  server.api_keys = api_keys(options.key_file);
  const std::vector<std::string> names = names_of(options);
  std::mutex mutex;
  if (!options.quiet) {
    server.log = [&mutex](std::string_view line) {
      const std::lock_guard lock(mutex);
      write_error(std::string(line) + "\n");
    };
  }
  const bool stays = options.models.size() == 1 && server.memory_bytes == 0 && server.keep_alive_seconds < 0;
  const std::unique_ptr<Server> listening = stays ? with_its_model(options, names.front()) : with_offers(options, names);
  const std::string shown = server.address.find(':') == std::string::npos ? server.address : "[" + server.address + "]";
  write_error(fmt::format("{} at http://{}:{}\n", offer_text(*listening), shown, listening->port()));
  if (server.api_keys.empty() && !is_loopback(server.address)) {
    write_error(fmt::format("note: anybody who reaches this address may ask; set {} or --api-key-file\n", kKeysVariable));
  }
  listening->run(interrupted);
  return 0;
}

void add_state(CLI::App& command, ServerOptions& server) {
  command
      .add_option("--state", server.state_folder,
                  "folder where conversations are kept over a restart, or a kill: they continue with their tokens cached.\n"
                  "It holds what was said: nobody else should read it")
      ->type_name("DIR");
  command.add_option("--state-size", server.state_bytes, "most that they take there; those not continued for longest go first")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(true))
      ->default_str("4GiB");
}

void add_memory(CLI::App& command, ServerOptions& server) {
  command
      .add_option("--memory", server.memory_bytes,
                  "most that the plans of loaded models take together (weights, keys and values,\n"
                  "scratch memory): idle ones make room for others (default: what is free at start)")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(true))
      ->check(whole_number(1, EngineLimits::kMostCacheBytes));
  command
      .add_option("--keep-alive", server.keep_alive_seconds,
                  "put models away that were idle for so long (default: only where another needs\n"
                  "the room)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 1e9));
}

void add_limits(CLI::App& command, ServerLimits& limits) {
  const auto count = [&](const char* name, auto& value, const char* help, long long least, long long most) {
    command.add_option(name, value, help)->type_name("N")->check(whole_number(least, most))->group("Limits")->capture_default_str();
  };
  const auto seconds = [&](const char* name, double& value, const char* help) {
    command.add_option(name, value, help)->type_name("SECONDS")->check(CLI::Range(0.1, 1e6))->group("Limits")->capture_default_str();
  };
  constexpr long long kMany = 1 << 20;
  count("--max-connections", limits.connections, "connections that are open at once", 1, kMany);
  count("--max-waiting", limits.waiting, "requests that wait for a turn; more get 503", 0, kMany);
  count("--max-per-key", limits.per_key, "requests of one API key under way, each choice one; more get 429", 1, kMany);
  count("--max-choices", limits.choices, "most for \"n\"", 1, 128);
  count("--max-tokens", limits.output_tokens, "most for \"max_tokens\"; 0: what the context takes", 0, EngineLimits::kMostContextTokens);
  count("--max-header", limits.header_bytes, "bytes of a request's header; more get 431", 1024, kMany);
  count("--max-body", limits.body_bytes, "bytes of a request's body; more get 413", 1024, 1LL << 32);
  seconds("--idle-timeout", limits.idle_seconds, "for the header of the next request");
  seconds("--body-timeout", limits.body_seconds, "for a request's body");
  seconds("--write-timeout", limits.write_seconds, "for a client to take what it is sent");
  seconds("--request-timeout", limits.request_seconds, "for an answer; then it ends with what is there");
  seconds("--drain-timeout", limits.drain_seconds, "for answers under way when the server is to end");
}

}  // namespace

void add_serve_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("serve", "answer clients of OpenAI's, Ollama's and Anthropic's APIs over HTTP");
  const auto options = std::make_shared<ServeOptions>();
  command
      ->add_option("-m,--model", options->models,
                   "a .gguf file, a folder with config.json and safetensors, or the name of\n"
                   "an installed model (see fovea models list). Several, with an -m each, are loaded\n"
                   "when they are asked for")
      ->type_name("MODEL")
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--name", options->names, "what clients call the model (default: as -m has it); of several, one for each -m")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--host", options->server.address, "address to listen at; 0.0.0.0: all of this machine")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command->add_option("--port", options->server.port, "port to listen at; 0: any that is free")
      ->type_name("N")
      ->check(whole_number(0, 65535))
      ->capture_default_str();
  command
      ->add_option("-c,--context", options->context,
                   "longest prompt and answer together, in tokens; 0: the model's limit, at\n"
                   "most 8192")
      ->type_name("N")
      ->check(whole_number(0, EngineLimits::kMostContextTokens));
  command->add_option("--sequences", options->sequences, "requests that run together, each up to the context")
      ->type_name("N")
      ->check(whole_number(1, EngineLimits::kMostSequences))
      ->capture_default_str();
  command
      ->add_option("--api-key-file", options->key_file, "keys that clients need, one on each line; or FOVEA_API_KEYS with commas between")
      ->type_name("FILE");
  command
      ->add_option("--prompt-lookup", options->server.prompt_lookup,
                   "guess up to N tokens at a time by what stands in prompt and answer; the text is the same,\n"
                   "and comes faster where it repeats what was there; 0: off")
      ->type_name("N")
      ->check(whole_number(0, EngineLimits::kMostLookupTokens))
      ->capture_default_str();
  command->add_flag("--share-cache", options->server.share_cache,
                    "prompts of one API key continue from those of another; from the time that takes, others'\n"
                    "prompts can be guessed");
  command->add_option("--cors", options->server.cors_origin, "origin of pages that may ask from a browser")->type_name("ORIGIN");
  command->add_flag("--quiet", options->quiet, "no log on stderr");
  options->model.add_machine(*command);
  options->model.add_cache(*command);
  add_memory(*command, options->server);
  add_state(*command, options->server);
  add_limits(*command, options->server.limits);
  command->footer(kExamples);
  command->callback([options, &chosen] { chosen = [options] { return serve_model(*options); }; });
}

}  // namespace fovea::cli
