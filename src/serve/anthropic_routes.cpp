// Anthropic's messages.
#include <fmt/format.h>

#include "serve/call_fields.h"
#include "serve/router.h"
#include "serve/single_answer.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string event(const char* type, ordered_json data) {
  ordered_json full = {{"type", type}};
  full.update(data);
  return fmt::format("event: {}\ndata: {}\n\n", type, text_of(full));
}

const char* stop_reason(const ChoiceEnd& end) {
  if (!end.stop.empty()) return "stop_sequence";
  return end.finish == FinishReason::stop ? "end_turn" : "max_tokens";
}

ordered_json text_or_null(const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); }

class MessageForm : public AnswerForm {
 public:
  explicit MessageForm(std::string model) : model_(std::move(model)), id_(random_id("msg_")) {}

  Dialect dialect() const override { return Dialect::anthropic; }
  std::string stream_type() const override { return "text/event-stream; charset=utf-8"; }
  std::string opening(const ReuseReport& report) override {
    ordered_json message = frame();
    message["content"] = ordered_json::array();
    message["stop_reason"] = message["stop_sequence"] = nullptr;
    message["usage"] = usage({report.prompt_tokens, report.reused_tokens, 0});
    return event("message_start", {{"message", message}}) +
           event("content_block_start", {{"index", 0}, {"content_block", {{"type", "text"}, {"text", ""}}}}) + event("ping", ordered_json::object());
  }
  std::string piece(const std::string& text) override {
    return event("content_block_delta", {{"index", 0}, {"delta", {{"type", "text_delta"}, {"text", text}}}});
  }
  std::string closing(const ChoiceEnd& end, const Usage& used, const AnswerTimes&) override {
    return event("content_block_stop", {{"index", 0}}) +
           event("message_delta", {{"delta", {{"stop_reason", stop_reason(end)}, {"stop_sequence", text_or_null(end.stop)}}}, {"usage", usage(used)}}) +
           event("message_stop", ordered_json::object());
  }
  std::string failure(const ApiError& error) override {
    return fmt::format("event: error\ndata: {}\n\n", text_of(error_json(error, Dialect::anthropic)));
  }
  ordered_json whole(const std::string& text, const ChoiceEnd& end, const Usage& used, const AnswerTimes&) override {
    ordered_json message = frame();
    message["content"] = ordered_json::array({{{"type", "text"}, {"text", text}}});
    message["stop_reason"] = stop_reason(end);
    message["stop_sequence"] = text_or_null(end.stop);
    message["usage"] = usage(used);
    return message;
  }

 private:
  ordered_json frame() const { return {{"id", id_}, {"type", "message"}, {"role", "assistant"}, {"model", model_}}; }
  static ordered_json usage(const Usage& used) {
    return {{"input_tokens", used.prompt_tokens - used.cached_tokens}, {"cache_creation_input_tokens", 0},
            {"cache_read_input_tokens", used.cached_tokens}, {"output_tokens", used.generated_tokens}};
  }

  std::string model_, id_;
};

std::string text_of_blocks(const json& content, const std::string& name) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) throw bad_request(name + ": Input should be a valid string or a list of content blocks", name);
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    Fields block(content[i], fmt::format("{}.{}.", name, i), Dialect::anthropic);
    block.require("type");
    if (*block.text("type") != "text") throw bad_request(block.full_name("type") + ": this model takes blocks of text", block.full_name("type"));
    block.require("text");
    text += *block.text("text");
    block.ignore("cache_control");
    block.ignore("citations");
    block.refuse_others();
  }
  return text;
}

// The prompt of a request; a last turn of the assistant is continued.
std::vector<int32_t> prompt_of(Fields& fields, const PromptReader& reader) {
  const json& messages = fields.require("messages");
  if (!messages.is_array()) fields.wrong_type("messages", "a valid list");
  if (messages.empty()) throw bad_request("messages: at least one message is required", "messages");
  if (messages.size() > kMostMessages) throw bad_request(fmt::format("messages: at most {} messages are taken", kMostMessages), "messages");
  std::vector<ChatTurn> turns;
  if (const json* system = fields.find("system")) turns.push_back({"system", text_of_blocks(*system, "system")});
  for (size_t i = 0; i < messages.size(); ++i) {
    Fields message(messages[i], fmt::format("messages.{}.", i), Dialect::anthropic);
    message.require("role");
    const std::string role = *message.text("role");
    if (role != "user" && role != "assistant") throw bad_request(message.full_name("role") + ": Input should be 'user' or 'assistant'", "messages");
    turns.push_back({role, text_of_blocks(message.require("content"), message.full_name("content"))});
    message.refuse_others();
  }
  if (turns.back().role != "assistant" || turns.size() == 1) return reader.tokens(turns);
  const std::string begun = turns.back().content;
  turns.pop_back();
  std::vector<int32_t> prompt = reader.tokens(turns);
  const std::vector<int32_t> more = reader.tokens(begun, false);
  prompt.insert(prompt.end(), more.begin(), more.end());
  return prompt;
}

void refuse_tools(Fields& fields) {
  if (const json* tools = fields.find("tools"); tools && !(tools->is_array() && tools->empty())) {
    throw bad_request("tools: not supported by this server", "tools");
  }
  if (const json* thinking = fields.find("thinking")) {
    Fields inside(*thinking, "thinking.", Dialect::anthropic);
    inside.require("type");
    if (*inside.text("type") != "disabled") throw bad_request("thinking: not supported by this server", "thinking");
  }
  fields.ignore("tool_choice");
}

}  // namespace

void Router::messages(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  const json body = parse_body(request.body);
  check_model(body, Dialect::anthropic);
  Fields fields(body, "", Dialect::anthropic);
  for (const char* harmless : {"model", "metadata", "service_tier", "container", "inference_geo"}) fields.ignore(harmless);
  GenerationCall call;
  fields.require("max_tokens");
  const int most = service_.options.limits.output_tokens > 0 ? service_.options.limits.output_tokens : EngineLimits::kMostContextTokens;
  call.max_tokens = static_cast<int>(*fields.integer("max_tokens", 1, most));
  call.sampling.temperature = static_cast<float>(fields.number("temperature", 0, 1).value_or(1));
  call.sampling.top_k = static_cast<int>(fields.integer("top_k", 0, service_.model->facts().vocabulary).value_or(0));
  call.sampling.top_p = static_cast<float>(fields.number("top_p", 0, 1).value_or(1));
  if (call.sampling.top_p == 0) call.sampling.top_p = 1, call.sampling.top_k = 1;
  call.sampling.seed = random_seed();
  call.stops = stop_strings(fields, "stop_sequences", Generation::kMostStops);
  call.stop_tokens = service_.model->end_tokens();
  call.owner = caller.key;
  call.salt = caller.salt;
  const bool streams = fields.boolean("stream").value_or(false);
  refuse_tools(fields);
  call.prompt = prompt_of(fields, *service_.prompts);
  fields.refuse_others();
  service_.post([this, caller, call = std::move(call), streams, reply] {
    answer_single(service_, caller, call, streams, std::make_unique<MessageForm>(service_.options.model_name), reply);
  });
}

void Router::count_tokens(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply) {
  const json body = parse_body(request.body);
  check_model(body, Dialect::anthropic);
  Fields fields(body, "", Dialect::anthropic);
  fields.ignore("model");
  refuse_tools(fields);
  const std::vector<int32_t> prompt = prompt_of(fields, *service_.prompts);
  fields.refuse_others();
  reply->send({200, text_of({{"input_tokens", prompt.size()}})});
}

}  // namespace fovea::serve
