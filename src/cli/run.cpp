// fovea run: continue a text, or talk (-i).
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>

#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/generation.h"
#include "cli/grammar_options.h"
#include "cli/interrupt.h"
#include "cli/kv_report.h"
#include "cli/model_options.h"
#include "cli/option_checks.h"
#include "cli/output.h"
#include "cli/plan_report.h"
#include "cli/quantity.h"
#include "cli/sampling_options.h"
#include "cli/terminal.h"
#include "cli/text_input.h"

namespace fovea::cli {
namespace {

constexpr const char* kExamples =
    "The text goes to stdout, everything else to stderr. Ctrl-C ends the text after the current token; a "
    "second\n"
    "Ctrl-C ends the program.\n"
    "\n"
    "Examples:\n"
    "  fovea run -p \"Once upon a time\" -n 100\n"
    "  fovea run -f chapter.txt --temp 0.8 --top-p 0.95 --seed 7\n"
    "  cat notes.txt | fovea run -m smollm2 --chat\n"
    "  fovea run -m smollm2 -i\n"
    "  fovea run -m smollm2 --chat -p \"Name a river.\" --json-schema river.json\n"
    "  fovea run -m smollm2 -i --session talk.fovea\n";
constexpr int kDefaultTokens = 128;
constexpr int kRoomUntilTheEnd = 2048;  // for the answer, when neither -c nor -n says how much
constexpr size_t kLongestEcho = 2000;   // bytes of prompt that are repeated on a terminal

struct RunOptions {
  ModelOptions model;
  SamplingArguments sampling;
  GrammarArguments grammar;
  std::optional<std::string> prompt, file, session, kv_report;
  std::optional<int> tokens;
  int context = 0, keep = 16, prompt_lookup = 0;
  std::string system;
  bool interactive = false, chat = false, shift = false, special = false, ignore_end = false, stats = false, json = false;
};

std::string prompt_text(const RunOptions& options) {
  const bool from_pipe = !options.prompt && !options.file;
  const std::optional<std::string> text = read_text_input(options.prompt, options.file);
  if (!text || (from_pipe && text->empty())) {
    throw UsageError("nothing to continue: give a text with -p, a file with -f, a pipe, or talk with -i");
  }
  return *text;
}

std::vector<int32_t> prompt_tokens(const Model& model, const RunOptions& options, const std::string& text) {
  if (!options.chat) return model.tokenize(text, true, options.special);
  std::vector<ChatTurn> turns;
  if (!options.system.empty()) turns.push_back({"system", options.system});
  turns.push_back({"user", text});
  return chat_tokens(model, turns);
}

// What the prompt and -n need, unless -c says.
int context_for(const RunOptions& options, int prompt, int tokens, int model_limit) {
  if (options.context > 0) return options.context;
  if (options.model.evict != "none" && tokens == kUntilTheEnd) return EngineLimits::kMostContextTokens;
  const int64_t room = tokens == kUntilTheEnd ? kRoomUntilTheEnd : tokens;
  int64_t needed = static_cast<int64_t>(prompt) + room;
  if (tokens == kUntilTheEnd) {
    needed = std::max<int64_t>(needed, EngineLimits::kUsualContextTokens);
    if (model_limit > 0 && prompt < model_limit) needed = std::min<int64_t>(needed, model_limit);
  }
  return static_cast<int>(std::clamp<int64_t>(needed, 1, std::numeric_limits<int>::max()));
}

void warn_of_long_context(const ModelFacts& facts, int64_t tokens) {
  if (facts.context_tokens <= 0 || tokens <= facts.context_tokens) return;
  write_error(fmt::format("note: {} tokens are more than the {} this model was made for; it may lose the thread\n", count_text(tokens),
                          count_text(facts.context_tokens)));
}

nlohmann::ordered_json report(const Model& model, const RunOptions& options, const std::vector<int32_t>& prompt,
                              const Generated& generated) {
  nlohmann::ordered_json object = {{"model", display_name(model.facts())}, {"prompt_tokens", prompt.size()}};
  object["text"] = generated.text;
  object["tokens"] = generated.tokens;
  object["finish"] = std::string(name_of(generated.finish));
  object["seed"] = options.sampling.options.seed;
  object["evicted_tokens"] = generated.lost.evicted_tokens;
  object["shifted_tokens"] = generated.lost.shifted_tokens;
  object["timing"] = json_of(generated.times);
  return object;
}

// The session's text and then this one, as tokens; the session begins with it where there is none yet.
std::vector<int32_t> continued_session(Engine& engine, const std::string& path, const std::string& text) {
  std::vector<int32_t> tokens;
  if (std::filesystem::exists(path)) tokens = engine.restore_session(path).tokens;
  const std::vector<int32_t> more = engine.model().tokenize(text, tokens.empty(), false);
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

int run_once(const RunOptions& options) {
  const std::string text = prompt_text(options);
  const int most = options.tokens.value_or(options.chat ? kUntilTheEnd : kDefaultTokens);
  const std::shared_ptr<const Model> model = options.model.load(options.context > 0 ? options.context : most);
  Request request;
  if (!options.session) request.prompt = prompt_tokens(*model, options, text);
  request.max_tokens = most;
  request.sampling = options.sampling.resolved(options.chat);
  request.grammar = options.grammar.compiled(*model);
  request.prompt_lookup = options.prompt_lookup;
  if (!options.ignore_end) request.stop_tokens = model->end_tokens();

  EngineOptions engine_options = options.model.engine_options();
  engine_options.context_tokens = options.context;
  engine_options.grammars = request.grammar != nullptr;
  if (!options.session) {
    engine_options.context_tokens =
        context_for(options, static_cast<int>(request.prompt.size()), request.max_tokens, model->facts().context_tokens);
    if (!options.kv_report) {  // no other request will come
      engine_options.cache_bytes = 0;
      request.cache.keep = KeepLevel::none;
    }
  }
  Engine engine(model, engine_options);
  show_plan(engine.plan());
  if (options.session) request.prompt = continued_session(engine, *options.session, text);
  const std::vector<int32_t> prompt = request.prompt;
  if (options.shift) request.shift_after = options.keep;
  else if (options.model.evict != "streaming")
    warn_of_long_context(model->facts(), static_cast<int64_t>(prompt.size()) + std::max(request.max_tokens, 0));

  const bool has_form = request.grammar != nullptr, to_terminal = is_terminal(Stream::out);
  if (to_terminal && !options.json && !options.chat && text.size() <= kLongestEcho) {
    write_output(dimmed(without_controls(text), Stream::out));
    flush_output();
  }
  CacheMap running;
  const Generated generated = generate_text(engine, model, std::move(request), [&](const std::string& piece) {
    if (options.kv_report && running.paths.empty()) running = engine.cache_map();
    if (options.json) return;
    write_output(to_terminal ? without_controls(piece) : piece);
    flush_output();
  });
  if (options.session) {
    std::vector<int32_t> tokens = prompt;
    tokens.insert(tokens.end(), generated.tokens.begin(), generated.tokens.end());
    engine.save_session(*options.session, {std::move(tokens), 0, ""});
  }
  if (options.kv_report) write_kv_report(*options.kv_report, engine, running);
  if (options.json) {
    write_json(report(*model, options, prompt, generated));
  } else {
    if (to_terminal || !generated.text.ends_with('\n')) write_output("\n");
    flush_output();
    write_error(dimmed(timing_line(generated.times), Stream::error) + "\n");
    if (!generated.lost.exact()) write_error(dimmed(loss_line(generated.lost), Stream::error) + "\n");
  }
  if (has_form && generated.finish == FinishReason::length) write_error("note: the answer is cut short and not complete; -n allows more\n");
  if (options.stats) write_error(json_line(json_of(engine.stats())));
  return interrupted() ? 128 + interrupt_signal() : 0;
}

int run(const RunOptions& options) {
  if (options.session && (options.chat || options.special)) {
    throw UsageError("--session continues a text, or with -i a conversation; it does not go with --chat or --special");
  }
  if (options.session && (options.shift || options.model.evict != "none")) {
    throw UsageError("--session saves what is exact; it does not go with --evict or --shift");
  }
  if (options.session && options.model.static_cache) throw UsageError("--session saves what is kept; with --static-cache nothing is");
  if (options.shift && options.interactive) throw UsageError("--shift continues one text; for a conversation use --evict streaming");
  if (!options.interactive) return run_once(options);
  if (options.json) throw UsageError("--json is for one answer; it does not go with -i");
  ChatOptions chat;
  chat.sampling = options.sampling.resolved(true);
  chat.max_tokens = options.tokens.value_or(kUntilTheEnd);
  chat.system = options.system;
  chat.stats = options.stats;
  chat.session = options.session;
  chat.kv_report = options.kv_report;
  if (options.prompt || options.file) chat.first_message = prompt_text(options);
  const std::shared_ptr<const Model> model = options.model.load(options.context, options.model.cache);
  chat.grammar = options.grammar.compiled(*model);
  chat.prompt_lookup = options.prompt_lookup;
  EngineOptions engine_options = options.model.engine_options();
  engine_options.context_tokens = options.context;
  engine_options.grammars = chat.grammar != nullptr;
  if (options.context == 0 && options.model.evict != "none") engine_options.context_tokens = EngineLimits::kMostContextTokens;
  return talk(model, engine_options, chat);
}

}  // namespace

void add_run_command(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("run", "continue a text, or chat with -i");
  const auto options = std::make_shared<RunOptions>();
  options->model.add_model(*command);
  command->add_option("-p,--prompt", options->prompt, "the text to continue")->type_name("TEXT");
  command->add_option("-f,--file", options->file, "a file with it; - is stdin")->type_name("FILE")->excludes("--prompt");
  command->add_flag("-i,--interactive", options->interactive, "talk with a chat model, line by line");
  command->add_flag("--chat", options->chat, "the text is a question to a chat model, put into its template");
  command->add_option("--system", options->system, "what the chat model is told before the conversation")->type_name("TEXT");
  command
      ->add_option("-n,--tokens", options->tokens,
                   "tokens to generate; 0: only read the prompt; -1: until the model\n"
                   "ends or the context is full (default 128; -1 for chat)")
      ->type_name("N")
      ->check(whole_number(-1, std::numeric_limits<int>::max()));
  command
      ->add_option("-c,--context", options->context,
                   "longest prompt and text together, in tokens; 0: what is needed\n"
                   "(for chat the model's limit, at most 8192)")
      ->type_name("N")
      ->check(whole_number(0, std::numeric_limits<int>::max()));
  command
      ->add_option("--session", options->session,
                   "continue the text or conversation of this file if it is there, and save it there\n"
                   "with its keys and values, so that nothing is read again")
      ->type_name("FILE");
  command->add_flag("--shift", options->shift,
                    "when the context is full, drop half of what follows the first tokens\n"
                    "and go on; what comes then is approximate");
  command->add_option("--keep", options->keep, "first tokens that --shift does not drop")
      ->type_name("N")
      ->check(whole_number(0, EngineLimits::kMostContextTokens))
      ->capture_default_str();
  options->model.add_machine(*command);
  options->model.add_cache(*command);
  command
      ->add_option("--prompt-lookup", options->prompt_lookup,
                   "guess up to N tokens at a time by what stands in prompt and text; the text is the same,\n"
                   "and comes faster where it repeats what was there; 0: off")
      ->type_name("N")
      ->check(whole_number(0, EngineLimits::kMostLookupTokens))
      ->capture_default_str();
  options->sampling.add(*command);
  options->grammar.add(*command);
  command->add_flag("--special", options->special, "control tokens in the text, such as <bos>, are meant as such");
  command->add_flag("--ignore-end", options->ignore_end, "go on when the model wants to end");
  command->add_flag("--stats", options->stats, "one JSON line on stderr with what the engine did and holds");
  command
      ->add_option("--kv-report", options->kv_report,
                   "a page about the cache, written after each answer: layers and positions that are\n"
                   "held, shared and given back, bytes by group beside the plan, what requests found")
      ->type_name("OUT.html");
  command->add_flag("--json", options->json, "one JSON object on stdout instead of the text");
  command->footer(kExamples);
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace fovea::cli
