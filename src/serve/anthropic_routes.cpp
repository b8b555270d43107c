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
  if (end.calls > 0) return "tool_use";
  if (!end.stop.empty()) return "stop_sequence";
  return end.finish == FinishReason::stop ? "end_turn" : "max_tokens";
}

ordered_json text_or_null(const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); }

ordered_json tool_use(const std::string& tool, ordered_json input) {
  return {{"type", "tool_use"}, {"id", random_id("toolu_")}, {"name", tool}, {"input", std::move(input)}};
}

// Blocks of text and of calls, one after the other.
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
    return event("message_start", {{"message", message}});
  }
  std::string piece(const std::string& text) override {
    const std::string begun = in_text_ ? "" : begin_block({{"type", "text"}, {"text", ""}});
    in_text_ = true;
    return begun + delta({{"type", "text_delta"}, {"text", text}});
  }
  std::string call(const CallPart& part) override {
    std::string events;
    if (!part.tool.empty()) {
      events += end_block();
      events += begin_block(tool_use(part.tool, ordered_json::object()));
    }
    if (!part.arguments.empty()) events += delta({{"type", "input_json_delta"}, {"partial_json", part.arguments}});
    if (part.end != CallPart::End::no) events += end_block();
    return events;
  }
  std::string closing(const ChoiceEnd& end, const Usage& used, const AnswerTimes&) override {
    const std::string nothing = blocks_ == 0 ? begin_block({{"type", "text"}, {"text", ""}}) : "";
    return nothing + end_block() +
           event("message_delta",
                 {{"delta", {{"stop_reason", stop_reason(end)}, {"stop_sequence", text_or_null(end.stop)}}}, {"usage", usage(used)}}) +
           event("message_stop", ordered_json::object());
  }
  std::string failure(const ApiError& error) override {
    return fmt::format("event: error\ndata: {}\n\n", text_of(error_json(error, Dialect::anthropic)));
  }
  ordered_json whole(const AnswerContent& content, const ChoiceEnd& end, const Usage& used, const AnswerTimes&) override {
    ordered_json message = frame();
    message["content"] = ordered_json::array();
    if (!content.text.empty() || content.calls.empty()) message["content"].push_back({{"type", "text"}, {"text", content.text}});
    for (const ToolCall& call : content.calls) message["content"].push_back(tool_use(call.name, ordered_json::parse(call.arguments)));
    message["stop_reason"] = stop_reason(end);
    message["stop_sequence"] = text_or_null(end.stop);
    message["usage"] = usage(used);
    return message;
  }

 private:
  ordered_json frame() const { return {{"id", id_}, {"type", "message"}, {"role", "assistant"}, {"model", model_}}; }
  static ordered_json usage(const Usage& used) {
    return {{"input_tokens", used.prompt_tokens - used.cached_tokens},
            {"cache_creation_input_tokens", 0},
            {"cache_read_input_tokens", used.cached_tokens},
            {"output_tokens", used.generated_tokens}};
  }

  std::string begin_block(const ordered_json& block) {
    open_ = true;
    const std::string ping = blocks_ == 0 ? event("ping", ordered_json::object()) : "";
    return event("content_block_start", {{"index", blocks_++}, {"content_block", block}}) + ping;
  }
  std::string delta(const ordered_json& delta) const { return event("content_block_delta", {{"index", blocks_ - 1}, {"delta", delta}}); }
  std::string end_block() {
    in_text_ = false;
    return std::exchange(open_, false) ? event("content_block_stop", {{"index", blocks_ - 1}}) : "";
  }

  std::string model_, id_;
  int blocks_ = 0;
  bool open_ = false, in_text_ = false;
};

// "text" of a block, whose other fields change nothing here.
std::string text_of_block(Fields& block) {
  block.require("text");
  block.ignore("cache_control");
  block.ignore("citations");
  block.refuse_others();
  return *block.text("text");
}

template <typename Take> void for_blocks(const json& content, const std::string& name, const Take& take) {
  if (!content.is_array()) throw bad_request(name + ": Input should be a valid string or a list of content blocks", name);
  for (size_t i = 0; i < content.size(); ++i) {
    Fields block(content[i], fmt::format("{}.{}.", name, i), Dialect::anthropic);
    block.require("type");
    take(*block.text("type"), block);
  }
}

[[noreturn]] void wrong_block(const Fields& block) {
  throw bad_request(block.full_name("type") + ": blocks of this type are not taken here", block.full_name("type"));
}

std::string text_of_blocks(const json& content, const std::string& name) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  for_blocks(content, name, [&](const std::string& type, Fields& block) {
    if (type != "text") wrong_block(block);
    text += text_of_block(block);
  });
  return text;
}

ToolCall tool_use_of(Fields& block) {
  for (const char* name : {"id", "name", "input"}) block.require(name);
  const json& input = block.require("input");
  if (!input.is_object()) block.wrong_type("input", "a valid dictionary");
  block.ignore("cache_control");
  block.ignore("caller");
  block.refuse_others();
  return {*block.text("id"), *block.text("name"), input.dump()};
}

ChatTurn tool_result_of(Fields& block) {
  block.require("tool_use_id");
  ChatTurn turn{"tool", "", {}, *block.text("tool_use_id")};
  if (const json* content = block.find("content")) turn.content = text_of_blocks(*content, block.full_name("content"));
  if (block.boolean("is_error").value_or(false)) turn.content = "Error: " + turn.content;
  block.ignore("cache_control");
  block.refuse_others();
  return turn;
}

// Results of tools are turns of their own, before what the user says beside them.
void add_message(const std::string& role, const json& content, const std::string& name, std::vector<ChatTurn>& turns) {
  ChatTurn turn{role, ""};
  if (content.is_string()) {
    turn.content = content.get<std::string>();
  } else {
    bool only_results = !content.empty();
    for_blocks(content, name, [&](const std::string& type, Fields& block) {
      if (type == "tool_result" && role == "user") return turns.push_back(tool_result_of(block));
      only_results = false;
      if (type == "text") turn.content += text_of_block(block);
      else if (type == "tool_use" && role == "assistant") turn.tool_calls.push_back(tool_use_of(block));
      else wrong_block(block);
    });
    if (only_results) return;
  }
  turns.push_back(std::move(turn));
}

// The prompt of a request; a last turn of the assistant is continued.
std::vector<int32_t> prompt_of(Fields& fields, const PromptReader& reader, const ToolSet* tools) {
  const json& messages = fields.require("messages");
  if (!messages.is_array()) fields.wrong_type("messages", "a valid list");
  if (messages.empty()) throw bad_request("messages: at least one message is required", "messages");
  if (messages.size() > kMostMessages) throw bad_request(fmt::format("messages: at most {} messages are taken", kMostMessages), "messages");
  std::vector<ChatTurn> turns;
  if (const json* system = fields.find("system")) turns.push_back({"system", text_of_blocks(*system, "system")});
  const size_t before = turns.size();
  for (size_t i = 0; i < messages.size(); ++i) {
    Fields message(messages[i], fmt::format("messages.{}.", i), Dialect::anthropic);
    message.require("role");
    const std::string role = *message.text("role");
    if (role != "user" && role != "assistant")
      throw bad_request(message.full_name("role") + ": Input should be 'user' or 'assistant'", "messages");
    add_message(role, message.require("content"), message.full_name("content"), turns);
    if (turns.size() > kMostMessages)
      throw bad_request(fmt::format("messages: at most {} messages and results of tools are taken", kMostMessages), "messages");
    message.refuse_others();
  }
  const std::string told = tools ? tools->for_template() : "";
  const ChatTurn last = turns.back();
  if (last.role != "assistant" || !last.tool_calls.empty() || turns.size() == before + 1) return reader.tokens(turns, told);
  turns.pop_back();
  std::vector<int32_t> prompt = reader.tokens(turns, told);
  const std::vector<int32_t> more = reader.tokens(last.content, false);
  prompt.insert(prompt.end(), more.begin(), more.end());
  return prompt;
}

void refuse_thinking(Fields& fields) {
  const json* thinking = fields.find("thinking");
  if (!thinking) return;
  Fields inside(*thinking, "thinking.", Dialect::anthropic);
  inside.require("type");
  if (*inside.text("type") != "disabled") throw bad_request("thinking: not supported by this server", "thinking");
}

}  // namespace

void Router::messages(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body, "", Dialect::anthropic);
  for (const char* harmless : {"model", "metadata", "service_tier", "container", "inference_geo"}) fields.ignore(harmless);
  GenerationCall call;
  fields.require("max_tokens");
  const int most = service_.options.limits.output_tokens > 0 ? service_.options.limits.output_tokens : EngineLimits::kMostContextTokens;
  call.max_tokens = static_cast<int>(*fields.integer("max_tokens", 1, most));
  call.sampling.temperature = static_cast<float>(fields.number("temperature", 0, 1).value_or(1));
  call.sampling.top_k = static_cast<int>(fields.integer("top_k", 0, caller.model->model->facts().vocabulary).value_or(0));
  call.sampling.top_p = static_cast<float>(fields.number("top_p", 0, 1).value_or(1));
  if (call.sampling.top_p == 0) call.sampling.top_p = 1, call.sampling.top_k = 1;
  call.sampling.seed = random_seed();
  call.stops = stop_strings(fields, "stop_sequences", Generation::kMostStops);
  call.stop_tokens = caller.model->model->end_tokens();
  call.owner = caller.key;
  call.salt = caller.salt;
  call.prompt_lookup = service_.options.prompt_lookup;
  const bool streams = fields.boolean("stream").value_or(false);
  refuse_thinking(fields);
  call.tools = anthropic_tools(fields);
  call.prompt = prompt_of(fields, *caller.model->prompts, call.tools.get());
  fields.refuse_others();
  if (call.tools) call.grammar = call.tools->grammar(*caller.model->model);
  service_.post([this, caller, call = std::move(call), streams, reply] {
    answer_single(service_, caller, call, streams, std::make_unique<MessageForm>(caller.model->name), reply);
  });
}

void Router::count_tokens(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body, "", Dialect::anthropic);
  fields.ignore("model");
  refuse_thinking(fields);
  const std::shared_ptr<const ToolSet> tools = anthropic_tools(fields);
  const std::vector<int32_t> prompt = prompt_of(fields, *caller.model->prompts, tools.get());
  fields.refuse_others();
  reply->send({200, text_of({{"input_tokens", prompt.size()}})});
}

}  // namespace fovea::serve
