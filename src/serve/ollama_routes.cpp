// Ollama's routes. It ignores fields that it does not know, and so does this.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <utility>

#include "serve/answer_grammar.h"
#include "serve/call_fields.h"
#include "serve/router.h"
#include "serve/single_answer.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

int64_t nanoseconds(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

// Lines of JSON: of /api/chat a message, of /api/generate a response.
class LineForm : public AnswerForm {
 public:
  LineForm(const Caller& caller, bool chat) : model_(caller.model->name), load_seconds_(caller.load_seconds), chat_(chat) {}

  Dialect dialect() const override { return Dialect::ollama; }
  std::string stream_type() const override { return "application/x-ndjson"; }
  std::string opening(const ReuseReport&) override { return ""; }
  std::string piece(const std::string& text) override {
    ordered_json object = line(text);
    object["done"] = false;
    return text_of(object) + "\n";
  }
  std::string call(const CallPart& part) override {  // objects come whole
    call_.take(part);
    if (part.end == CallPart::End::no) return "";
    const AnswerContent content = std::exchange(call_, {});
    ordered_json object = line(content.text, content.calls);
    object["done"] = false;
    return text_of(object) + "\n";
  }
  std::string closing(const ChoiceEnd& end, const Usage& usage, const AnswerTimes& times) override {
    return text_of(whole({}, end, usage, times)) + "\n";
  }
  std::string failure(const ApiError& error) override { return text_of(error_json(error, Dialect::ollama)) + "\n"; }
  ordered_json whole(const AnswerContent& content, const ChoiceEnd& end, const Usage& usage, const AnswerTimes& times) override {
    ordered_json object = line(content.text, content.calls);
    object["done"] = true;
    object["done_reason"] = end.finish == FinishReason::stop ? "stop" : "length";
    object["total_duration"] = nanoseconds(load_seconds_ + times.total_seconds);
    object["load_duration"] = nanoseconds(load_seconds_);
    object["prompt_eval_count"] = usage.prompt_tokens;
    object["prompt_eval_duration"] = nanoseconds(times.prompt_seconds);
    object["eval_count"] = usage.generated_tokens;
    object["eval_duration"] = nanoseconds(times.total_seconds - times.prompt_seconds);
    return object;
  }

 private:
  ordered_json line(const std::string& text, const std::vector<ToolCall>& calls = {}) const {
    ordered_json object = {{"model", model_}, {"created_at", now()}};
    if (chat_) object["message"] = {{"role", "assistant"}, {"content", text}};
    else object["response"] = text;
    for (const ToolCall& call : calls) {
      object["message"]["tool_calls"].push_back({{"function", {{"name", call.name}, {"arguments", ordered_json::parse(call.arguments)}}}});
    }
    return object;
  }

  std::string model_;
  double load_seconds_;
  bool chat_;
  AnswerContent call_;  // that is being written
};

// With Ollama's defaults.
void read_options(Fields& fields, const Model& model, int context_tokens, GenerationCall& call) {
  SamplingOptions& sampling = call.sampling;
  static const json kNone = json::object();
  const json* given = fields.find("options");
  Fields options(given ? *given : kNone, "options.", Dialect::ollama);
  sampling.temperature = static_cast<float>(options.number("temperature", 0, 100).value_or(0.8));
  sampling.top_k = static_cast<int>(std::min<int64_t>(options.integer("top_k", -1, 1 << 30).value_or(40), model.facts().vocabulary));
  sampling.top_k = std::max(sampling.top_k, 0);
  sampling.top_p = static_cast<float>(options.number("top_p", 0, 1).value_or(0.9));
  if (sampling.top_p == 0) sampling.top_p = 1, sampling.top_k = 1;
  sampling.min_p = static_cast<float>(options.number("min_p", 0, 1).value_or(0));
  sampling.repetition_penalty = static_cast<float>(options.number("repeat_penalty", 0.01, 100).value_or(1.1));
  // A ring of so many tokens is kept: no longer than there can be tokens.
  sampling.penalty_window = static_cast<int>(std::min<int64_t>(options.integer("repeat_last_n", -1, 1 << 30).value_or(64), context_tokens));
  sampling.presence_penalty = static_cast<float>(options.number("presence_penalty", -100, 100).value_or(0));
  sampling.frequency_penalty = static_cast<float>(options.number("frequency_penalty", -100, 100).value_or(0));
  const int64_t seed = options.integer("seed", INT64_MIN, INT64_MAX).value_or(0);
  sampling.seed = seed == 0 ? random_seed() : static_cast<uint64_t>(seed);
  const int64_t most = options.integer("num_predict", -2, 1 << 30).value_or(-1);
  if (most > 0) call.max_tokens = static_cast<int>(most);
  call.stops = stop_strings(options, "stop", Generation::kMostStops);
  call.stop_tokens = model.end_tokens();
  call.clamp_tokens = true;
}

void limit_tokens(GenerationCall& call, const ServerLimits& limits) {
  if (limits.output_tokens > 0) call.max_tokens = std::min(call.max_tokens.value_or(limits.output_tokens), limits.output_tokens);
}

void refuse_what_is_missing(Fields& fields, const std::string& model) {
  if (const json* images = fields.find("images"); images && !images->empty()) throw bad_request(model + " does not support images");
  if (const json* think = fields.find("think"); think && *think != false) throw bad_request(model + " does not support thinking");
  if (!fields.text("suffix").value_or("").empty()) throw bad_request(model + " does not support insert");
}

std::vector<ChatTurn> turns_of(const json& messages) {
  if (!messages.is_array()) throw bad_request("messages has to be an array of objects");
  if (messages.size() > kMostMessages) throw bad_request(fmt::format("at most {} messages are taken", kMostMessages));
  std::vector<ChatTurn> turns;
  for (size_t i = 0; i < messages.size(); ++i) {
    Fields message(messages[i], fmt::format("messages[{}].", i), Dialect::ollama);
    const std::string role = message.text("role").value_or("");
    if (role != "system" && role != "user" && role != "assistant" && role != "tool") {
      throw bad_request(fmt::format("invalid role: {}; expected one of [system user assistant tool]", role.substr(0, 32)));
    }
    if (const json* images = message.find("images"); images && !images->empty()) throw bad_request("this model does not support images");
    ChatTurn& turn = turns.emplace_back(ChatTurn{role, message.text("content").value_or("")});
    if (const json* calls = message.find("tool_calls"))
      turn.tool_calls = tool_calls_of(*calls, message.full_name("tool_calls"), Dialect::ollama);
    turn.tool_name = message.text("tool_name").value_or("");
    turn.tool_call_id = message.text("tool_call_id").value_or("");
  }
  return turns;
}

}  // namespace

void Router::ollama_chat(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body, "", Dialect::ollama);
  refuse_what_is_missing(fields, caller.model->name);
  GenerationCall call;
  read_options(fields, *caller.model->model, caller.model->engine->options().context_tokens, call);
  limit_tokens(call, service_.options.limits);
  call.grammar = ollama_grammar(fields, *caller.model->model);
  call.owner = caller.key;
  call.salt = caller.salt;
  call.prompt_lookup = service_.options.prompt_lookup;
  const bool streams = fields.boolean("stream").value_or(true);
  const json* messages = fields.find("messages");
  if (!messages || messages->empty()) {  // how clients have a model loaded
    reply->send({200, text_of({{"model", caller.model->name},
                               {"created_at", now()},
                               {"message", {{"role", "assistant"}, {"content", ""}}},
                               {"done_reason", "load"},
                               {"done", true}})});
    return;
  }
  call.tools = ollama_tools(fields);
  call.prompt = caller.model->prompts->tokens(turns_of(*messages), call.tools ? call.tools->for_template() : "");
  service_.post([this, caller, call = std::move(call), streams, reply] {
    answer_single(service_, caller, call, streams, std::make_unique<LineForm>(caller, true), reply);
  });
}

void Router::ollama_generate(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body, "", Dialect::ollama);
  refuse_what_is_missing(fields, caller.model->name);
  if (const json* context = fields.find("context"); context && !context->empty())
    throw bad_request("context is not supported: use /api/chat");
  if (!fields.text("template").value_or("").empty()) throw bad_request("template is not supported by this server");
  GenerationCall call;
  read_options(fields, *caller.model->model, caller.model->engine->options().context_tokens, call);
  limit_tokens(call, service_.options.limits);
  call.grammar = ollama_grammar(fields, *caller.model->model);
  call.owner = caller.key;
  call.salt = caller.salt;
  call.prompt_lookup = service_.options.prompt_lookup;
  const bool streams = fields.boolean("stream").value_or(true), raw = fields.boolean("raw").value_or(false);
  const std::string prompt = fields.text("prompt").value_or(""), system = fields.text("system").value_or("");
  if (prompt.empty()) {
    reply->send(
        {200, text_of({{"model", caller.model->name}, {"created_at", now()}, {"response", ""}, {"done_reason", "load"}, {"done", true}})});
    return;
  }
  if (raw || !caller.model->model->has_chat_template()) {
    call.prompt = caller.model->prompts->tokens(prompt, true);
  } else {
    std::vector<ChatTurn> turns;
    if (!system.empty()) turns.push_back({"system", system});
    turns.push_back({"user", prompt});
    call.prompt = caller.model->prompts->tokens(turns);
  }
  service_.post([this, caller, call = std::move(call), streams, reply] {
    answer_single(service_, caller, call, streams, std::make_unique<LineForm>(caller, false), reply);
  });
}

void Router::ollama_version(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply) {
  reply->send({200, text_of({{"version", FOVEA_VERSION}})});
}

}  // namespace fovea::serve
