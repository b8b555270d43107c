#include "cli/chat.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/generation.h"
#include "cli/interrupt.h"
#include "cli/kv_report.h"
#include "cli/message_reader.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/plan_report.h"
#include "cli/terminal.h"
#include "cli/text_input.h"
#include "fovea/error.h"

namespace fovea::cli {
namespace {

constexpr const char* kHelp =
    "  /reset   forget the conversation\n"
    "  /help    this\n"
    "  /exit    leave (or Ctrl-D)\n"
    "  Ctrl-C stops an answer. A line that ends in \\ continues; pasted lines are one message.\n";

class Conversation {
 public:
  Conversation(std::shared_ptr<const Model> model, EngineOptions engine_options, const ChatOptions& options)
      : model_(std::move(model)), options_(options), engine_(model_, engine_options) {
    show_plan(engine_.plan());
    reset();
    if (options_.session && std::filesystem::exists(*options_.session)) restore();
  }

  void reset() {
    turns_.clear();
    text_.clear();
    tokens_.clear();
    if (!options_.system.empty()) turns_.push_back({"system", options_.system});
  }

  // Answers on stdout. A message that cannot be answered is not kept, so that the conversation can go on.
  void say(const std::string& message) {
    std::vector<ChatTurn> turns = turns_;
    turns.push_back({"user", message});
    Request request;
    request.prompt = tokens_of(turns);
    request.max_tokens = options_.max_tokens;
    request.sampling = options_.sampling;
    request.grammar = options_.grammar;
    request.prompt_lookup = options_.prompt_lookup;
    request.stop_tokens = model_->end_tokens();
    const int context = engine_.options().context_tokens;
    if (static_cast<int>(request.prompt.size()) >= context) {
      throw Error(
          fmt::format("the conversation with this message has {} tokens, more than the {} that fit", request.prompt.size(), context), "",
          "use /reset or a shorter message, or start with a larger -c");
    }
    std::vector<int32_t> tokens = request.prompt;
    const Generated generated = answer(std::move(request));
    text_ = model_->render_chat(turns) + generated.text;
    tokens.insert(tokens.end(), generated.tokens.begin(), generated.tokens.end());
    tokens_ = std::move(tokens);
    turns.push_back({"assistant", generated.text});
    turns_ = std::move(turns);
    if (options_.session) save();
    if (options_.kv_report) write_kv_report(*options_.kv_report, engine_, running_);
  }

 private:
  void save() {
    nlohmann::ordered_json note = {{"text", text_}, {"turns", nlohmann::ordered_json::array()}};
    for (const ChatTurn& turn : turns_) note["turns"].push_back({{"role", turn.role}, {"content", turn.content}});
    engine_.save_session(*options_.session, {tokens_, 0, note.dump()});
  }

  void restore() {
    Session session = engine_.restore_session(*options_.session);
    const auto note = nlohmann::ordered_json::parse(session.note, nullptr, false);
    if (!note.is_object() || !note.contains("turns")) {
      throw Error("the session holds a text and no conversation", *options_.session, "continue it without -i, or name another file");
    }
    turns_.clear();
    for (const auto& turn : note["turns"]) turns_.push_back({turn.value("role", ""), turn.value("content", "")});
    text_ = note.value("text", "");
    tokens_ = std::move(session.tokens);
  }

  // The tokens that the model read and wrote stay as they are, so that the engine finds them in its cache: the same
  // text, tokenized anew, can come out otherwise.
  std::vector<int32_t> tokens_of(const std::vector<ChatTurn>& turns) const {
    std::vector<int32_t> anew = chat_tokens(*model_, turns);
    const std::string text = model_->render_chat(turns);
    if (text_.empty() || !text.starts_with(text_)) return anew;
    std::vector<int32_t> continued = tokens_;
    const std::vector<int32_t> more = model_->tokenize(text.substr(text_.size()), false, true);
    continued.insert(continued.end(), more.begin(), more.end());
    return model_->detokenize(continued, true) == model_->detokenize(anew, true) ? continued : anew;
  }

  Generated answer(Request request) {
    const bool to_terminal = is_terminal(Stream::out);
    running_ = {};
    Generated generated = generate_text(engine_, model_, std::move(request), [&](const std::string& piece) {
      if (options_.kv_report && running_.paths.empty()) running_ = engine_.cache_map();
      write_output(to_terminal ? without_controls(piece) : piece);
      flush_output();
    });
    write_output("\n");
    flush_output();
    if (generated.finish == FinishReason::cancelled) write_error("(stopped)\n");
    write_error(dimmed(timing_line(generated.times), Stream::error) + "\n");
    if (options_.stats) write_error(json_line(json_of(engine_.stats())));
    if (generated.finish == FinishReason::length && options_.max_tokens < 0) {
      write_error("The context is full: use /reset to go on, or start with a larger -c.\n");
    }
    return generated;
  }

  std::shared_ptr<const Model> model_;
  const ChatOptions& options_;
  Engine engine_;
  std::vector<ChatTurn> turns_;
  std::string text_;             // of the last prompt and its answer, in the template
  std::vector<int32_t> tokens_;  // likewise
  CacheMap running_;             // when the last answer began
};

void require_chat_model(const Model& model) {
  if (model.has_chat_template()) return;
  throw Error("this model has no chat template: it continues texts and does not converse", display_name(model.facts()),
              "continue a text with fovea run -p TEXT, or chat with another model, for example -m smollm2");
}

// True when the program should end.
bool obey(const std::string& command, Conversation& conversation) {
  if (command == "/exit" || command == "/bye" || command == "/quit") return true;
  if (command == "/reset") {
    conversation.reset();
    write_error("The conversation starts anew.\n");
  } else if (command == "/help" || command == "/?") {
    write_error(kHelp);
  } else {
    write_error("There is no command " + without_controls(command) + ":\n" + kHelp);
  }
  return false;
}

bool is_command(const std::string& message) { return message.starts_with('/') && message.find_first_of(" \n") == std::string::npos; }

}  // namespace

std::vector<int32_t> chat_tokens(const Model& model, const std::vector<ChatTurn>& turns) {
  require_chat_model(model);
  const std::string text = model.render_chat(turns);
  std::vector<int32_t> tokens = model.tokenize(text, false, true);
  const std::optional<int32_t> bos = model.bos();
  const bool has_bos = bos && !tokens.empty() && tokens.front() == *bos;
  return has_bos ? tokens : model.tokenize(text, true, true);
}

int talk(const std::shared_ptr<const Model>& model, EngineOptions engine_options, const ChatOptions& options) {
  require_chat_model(*model);
  Conversation conversation(model, engine_options, options);
  MessageReader reader;
  if (is_terminal(Stream::in)) {
    write_error(dimmed(display_name(model->facts()) + " · /help for commands, Ctrl-D to leave", Stream::error) + "\n");
  }
  const auto say = [&](const std::string& message) {
    try {
      require_utf8(message, "message");
      conversation.say(message);
    } catch (const Error& error) {
      write_error(error_text(error));
    }
    forget_interrupt();  // Ctrl-C meant the answer, not the program
  };
  if (options.first_message) say(*options.first_message);
  bool leaving = false;
  while (true) {
    std::string message;
    switch (reader.read("> ", message)) {
      case MessageReader::Outcome::end:
        write_error(is_terminal(Stream::in) ? "\n" : "");
        return 0;
      case MessageReader::Outcome::interrupted:
        if (leaving) return 128 + interrupt_signal();
        leaving = true;
        forget_interrupt();
        write_error("\n(Ctrl-C again or Ctrl-D to leave)\n");
        continue;
      case MessageReader::Outcome::message:
        leaving = false;
        break;
    }
    if (message.find_first_not_of(" \n\t") == std::string::npos) continue;
    if (is_command(message)) {
      if (obey(message, conversation)) return 0;
    } else {
      say(message);
    }
  }
}

}  // namespace fovea::cli
