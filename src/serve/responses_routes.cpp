// OpenAI's /v1/responses. Nothing is stored: the whole conversation is in `input`.
#include <fmt/format.h>

#include <ctime>

#include "serve/answer_grammar.h"
#include "serve/call_fields.h"
#include "serve/router.h"
#include "serve/single_answer.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr size_t kMostEchoed = 512 << 10;

// Events, which are numbered as they are made: elements of a list are made in its order, operands of + are not.
std::string joined(std::initializer_list<std::string> events) {
  std::string all;
  for (const std::string& event : events) all += event;
  return all;
}

// Events of a stream, numbered. An answer is a list of items: a message if there is text, and calls.
class ResponseForm : public AnswerForm {
 public:
  // echoed: fields of the request that the response repeats
  ResponseForm(std::string model, ordered_json echoed) : model_(std::move(model)), echoed_(std::move(echoed)) {}

  Dialect dialect() const override { return Dialect::openai; }
  std::string stream_type() const override { return "text/event-stream; charset=utf-8"; }
  std::string opening(const ReuseReport&) override {
    const ordered_json response = object("in_progress", nullptr);
    return joined({event("response.created", {{"response", response}}), event("response.in_progress", {{"response", response}})});
  }
  std::string piece(const std::string& text) override {
    const std::string begun = in_text_ ? "" : begin_text();
    text_ += text;
    return begun + event("response.output_text.delta", in_content({{"delta", text}, {"logprobs", ordered_json::array()}}));
  }
  std::string call(const CallPart& part) override {
    std::string events;
    if (!part.tool.empty()) {
      events += end_text("completed");
      call_ = call_item({"", part.tool, ""}, "in_progress");
      events += event("response.output_item.added", {{"output_index", output_.size()}, {"item", call_}});
    }
    if (!part.arguments.empty()) {
      call_["arguments"].get_ref<std::string&>() += part.arguments;
      events += event("response.function_call_arguments.delta", in_call({{"delta", part.arguments}}));
    }
    return part.end == CallPart::End::no ? events : events + end_call(part.end == CallPart::End::whole);
  }
  std::string closing(const ChoiceEnd& end, const Usage& usage, const AnswerTimes&) override {
    const char* status = status_of(end);
    const std::string nothing = output_.empty() && !in_text_ ? begin_text() : "";
    const std::string before = nothing + end_text(status);
    return before + event(std::string("response.") + status, {{"response", finished(end, usage)}});
  }
  std::string failure(const ApiError& error) override {
    return event("error", {{"code", error.code.empty() ? error.type : error.code}, {"message", error.what()}, {"param", nullptr}});
  }
  ordered_json whole(const AnswerContent& content, const ChoiceEnd& end, const Usage& usage, const AnswerTimes&) override {
    if (!content.text.empty() || content.calls.empty()) output_.push_back(message_item(random_id("msg_"), status_of(end), content.text));
    for (const ToolCall& call : content.calls) output_.push_back(call_item(call, "completed"));
    return finished(end, usage);
  }

 private:
  static const char* status_of(const ChoiceEnd& end) { return end.finish == FinishReason::stop ? "completed" : "incomplete"; }
  static ordered_json text_part(const std::string& text) {
    return {{"type", "output_text"}, {"text", text}, {"annotations", ordered_json::array()}, {"logprobs", ordered_json::array()}};
  }
  static ordered_json message_item(const std::string& id, const char* status, const std::string& text) {
    return {
        {"id", id}, {"type", "message"}, {"status", status}, {"role", "assistant"}, {"content", ordered_json::array({text_part(text)})}};
  }
  static ordered_json call_item(const ToolCall& call, const char* status) {
    return {{"id", random_id("fc_")},        {"type", "function_call"}, {"status", status},
            {"call_id", random_id("call_")}, {"name", call.name},       {"arguments", call.arguments}};
  }
  ordered_json in_call(ordered_json more) const {
    ordered_json data = {{"item_id", call_["id"]}, {"output_index", output_.size()}};
    data.update(more);
    return data;
  }
  std::string end_call(bool whole) {
    call_["status"] = whole ? "completed" : "incomplete";
    const std::string events =
        joined({event("response.function_call_arguments.done", in_call({{"name", call_["name"]}, {"arguments", call_["arguments"]}})),
                event("response.output_item.done", {{"output_index", output_.size()}, {"item", call_}})});
    output_.push_back(std::move(call_));
    return events;
  }

  std::string event(const std::string& type, ordered_json data) {
    ordered_json full = {{"type", type}};
    full.update(data);
    full["sequence_number"] = events_++;
    return fmt::format("event: {}\ndata: {}\n\n", type, text_of(full));
  }
  ordered_json in_content(ordered_json more) const {
    ordered_json data = {{"item_id", message_}, {"output_index", output_.size()}, {"content_index", 0}};
    data.update(more);
    return data;
  }
  std::string begin_text() {
    in_text_ = true;
    text_.clear();
    message_ = random_id("msg_");
    ordered_json item = message_item(message_, "in_progress", "");
    item["content"] = ordered_json::array();
    return joined({event("response.output_item.added", {{"output_index", output_.size()}, {"item", item}}),
                   event("response.content_part.added", in_content({{"part", text_part("")}}))});
  }
  std::string end_text(const char* status) {
    if (!in_text_) return "";
    in_text_ = false;
    const ordered_json item = message_item(message_, status, text_);
    const std::string events =
        joined({event("response.output_text.done", in_content({{"text", text_}, {"logprobs", ordered_json::array()}})),
                event("response.content_part.done", in_content({{"part", text_part(text_)}})),
                event("response.output_item.done", {{"output_index", output_.size()}, {"item", item}})});
    output_.push_back(item);
    return events;
  }

  ordered_json object(const char* status, ordered_json usage) const {
    ordered_json response = {{"id", id_},
                             {"object", "response"},
                             {"created_at", created_},
                             {"status", status},
                             {"background", false},
                             {"error", nullptr},
                             {"incomplete_details", nullptr},
                             {"model", model_},
                             {"output", output_},
                             {"previous_response_id", nullptr},
                             {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
                             {"store", false},
                             {"truncation", "disabled"}};
    response.update(echoed_);
    response["usage"] = std::move(usage);
    return response;
  }
  ordered_json finished(const ChoiceEnd& end, const Usage& used) const {
    ordered_json response = object(status_of(end), {{"input_tokens", used.prompt_tokens},
                                                    {"input_tokens_details", {{"cached_tokens", used.cached_tokens}}},
                                                    {"output_tokens", used.generated_tokens},
                                                    {"output_tokens_details", {{"reasoning_tokens", 0}}},
                                                    {"total_tokens", used.prompt_tokens + used.generated_tokens}});
    if (end.finish != FinishReason::stop) response["incomplete_details"] = {{"reason", "max_output_tokens"}};
    return response;
  }

  std::string model_, id_ = random_id("resp_"), message_, text_;
  ordered_json echoed_;
  int64_t created_ = std::time(nullptr);
  std::vector<ordered_json> output_;
  ordered_json call_;  // that is being written; not in output_ yet
  int events_ = 0;
  bool in_text_ = false;
};

// A call, and what it gave: items of their own.
ChatTurn call_turn(Fields& item) {
  for (const char* name : {"call_id", "name", "arguments"}) item.require(name);
  item.ignore("id");
  item.ignore("status");
  ChatTurn turn{"assistant", "", {{*item.text("call_id"), *item.text("name"), *item.text("arguments")}}};
  item.refuse_others();
  return turn;
}

ChatTurn output_turn(Fields& item) {
  item.require("call_id");
  ChatTurn turn{"tool", text_of_content(item.require("output"), item.full_name("output")), {}, *item.text("call_id")};
  item.ignore("id");
  item.ignore("status");
  item.refuse_others();
  return turn;
}

void add_item(const json& value, const std::string& path, std::vector<ChatTurn>& turns) {
  Fields item(value, path + ".");
  const std::string type = item.text("type").value_or("message");
  if (type == "function_call") {
    ChatTurn turn = call_turn(item);
    const bool goes_on = !turns.empty() && turns.back().role == "assistant";
    if (goes_on) turns.back().tool_calls.push_back(turn.tool_calls.front());
    else turns.push_back(std::move(turn));
    return;
  }
  if (type == "function_call_output") return turns.push_back(output_turn(item));
  if (type == "reasoning") return;
  if (type != "message")
    throw bad_request(
        fmt::format("Invalid value: '{}'. This server takes messages, calls of functions and their outputs.", type.substr(0, 32)),
        item.full_name("type"), "invalid_value");
  json message = value;
  for (const char* harmless : {"type", "id", "status", "phase"}) message.erase(harmless);
  if (message.value("role", json()) == "tool")
    throw bad_request("Invalid value: 'tool'. Outputs of functions are items of type 'function_call_output'.", item.full_name("role"),
                      "invalid_value");
  turns.push_back(chat_turn(message, path));
}

std::vector<ChatTurn> input_turns(Fields& fields) {
  std::vector<ChatTurn> turns;
  if (const auto instructions = fields.text("instructions")) turns.push_back({"system", *instructions});
  const json& input = fields.require("input");
  if (input.is_string()) {
    turns.push_back({"user", input.get<std::string>()});
    return turns;
  }
  if (!input.is_array()) fields.wrong_type("input", "a string or an array of objects");
  if (input.empty() || input.size() > kMostMessages)
    throw bad_request(fmt::format("Invalid 'input': 1 to {} items are taken.", kMostMessages), "input", "invalid_value");
  for (size_t i = 0; i < input.size(); ++i) add_item(input[i], fmt::format("input[{}]", i), turns);
  return turns;
}

// What would need something kept, or is not there.
void refuse_what_is_missing(Fields& fields) {
  const auto refuse = [](const char* name, const char* why) {
    throw bad_request(fmt::format("Unsupported parameter: '{}' is not supported by this server{}.", name, why), name,
                      "unsupported_parameter");
  };
  constexpr const char* kStoresNothing = ", which stores no responses: send the whole conversation in 'input'";
  for (const char* name : {"previous_response_id", "conversation"}) {
    if (fields.find(name)) refuse(name, kStoresNothing);
  }
  if (fields.boolean("background").value_or(false)) refuse("background", kStoresNothing);
  if (fields.text("truncation").value_or("disabled") != "disabled") refuse("truncation", "");
  if (fields.integer("top_logprobs", 0, 20).value_or(0) != 0) refuse("top_logprobs", "");
  if (fields.find("prompt")) refuse("prompt", "");
  for (const char* harmless : {"metadata", "user", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
                               "reasoning", "include", "max_tool_calls", "stream_options"}) {
    fields.ignore(harmless);
  }
}

ordered_json echo(const json& body, std::initializer_list<std::pair<const char*, ordered_json>> defaults) {
  ordered_json echoed;
  for (const auto& [name, value] : defaults) {
    const auto given = body.find(name);
    echoed[name] = given == body.end() || given->is_null() ? value : ordered_json(*given);
  }
  return echoed;
}

}  // namespace

void Router::responses(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body);
  refuse_what_is_missing(fields);
  const std::vector<ChatTurn> turns = input_turns(fields);
  GenerationCall call =
      response_call(fields, {*caller.model->prompts, service_.options.limits, caller.key, caller.salt, service_.options.prompt_lookup});
  const bool streams = fields.boolean("stream").value_or(false);
  fields.refuse_others();
  call.prompt = caller.model->prompts->tokens(turns, call.tools ? call.tools->for_template() : "");
  ordered_json echoed = echo(body, {{"instructions", nullptr},
                                    {"max_output_tokens", nullptr},
                                    {"metadata", ordered_json::object()},
                                    {"parallel_tool_calls", true},
                                    {"temperature", 1.0},
                                    {"text", {{"format", {{"type", "text"}}}}},
                                    {"tool_choice", "auto"},
                                    {"tools", ordered_json::array()},
                                    {"top_p", 1.0},
                                    {"user", nullptr}});
  // It is repeated in three events of a stream, before anybody has read one.
  if (text_of(echoed).size() > kMostEchoed) {
    throw bad_request(
        fmt::format("'instructions', 'metadata', 'tools' and what else the response repeats have at most {} bytes together.", kMostEchoed),
        "metadata", "string_above_max_length");
  }
  service_.post([this, caller, call = std::move(call), streams, echoed = std::move(echoed), reply] {
    answer_single(service_, caller, call, streams, std::make_unique<ResponseForm>(caller.model->name, echoed), reply);
  });
}

}  // namespace fovea::serve
