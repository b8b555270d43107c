#include "text/chat_template.h"

#include <nlohmann/json.hpp>

#include "text/library.h"
#include "text/tool_text.h"

namespace fovea::text {
namespace {

using Json = nlohmann::ordered_json;

// Templates print arguments as they print any value: they are given as one. What is no object, or nests so deep that copying and
// printing it would exhaust the stack, stays text.
Json arguments_of(const ToolCall& call) {
  constexpr int kDeepest = 64;
  bool is_deep = false;
  Json arguments = Json::parse(
      call.arguments,
      [&is_deep](int depth, Json::parse_event_t, const Json&) {
        is_deep = is_deep || depth > kDeepest;
        return !is_deep;
      },
      false);
  return arguments.is_object() && !is_deep ? arguments : Json(call.arguments);
}

Json json_of(const ToolCall& call) {
  Json object = {{"type", "function"}, {"function", {{"name", call.name}, {"arguments", arguments_of(call)}}}};
  if (!call.id.empty()) object["id"] = call.id;
  return object;
}

Json json_of(const ChatTurn& turn) {
  Json object = {{"role", turn.role}, {"content", turn.content}};
  for (const ToolCall& call : turn.tool_calls) object["tool_calls"].push_back(json_of(call));
  if (!turn.tool_call_id.empty()) object["tool_call_id"] = turn.tool_call_id;
  if (!turn.tool_name.empty()) object["name"] = turn.tool_name;
  return object;
}

}  // namespace

struct ChatTemplate::State {
  LibraryTemplate chat_template;
  std::string bos_token, eos_token;
  bool knows_tools;
  ToolCallForm form;
};

namespace {

// By what templates tell the model to write.
ToolCallForm form_of(const std::string& source, bool knows_tools) {
  if (!knows_tools || source.find("<tool_call>") != std::string::npos) return {};
  const bool parameters = source.find("\"parameters\":") != std::string::npos;
  return {false, parameters ? "parameters" : "arguments"};
}

}  // namespace

ChatTemplate::ChatTemplate(std::string source, std::string bos_token, std::string eos_token, std::string where) {
  const bool knows_tools = source.find("tools") != std::string::npos;
  state_.reset(
      new State{LibraryTemplate(source, where), std::move(bos_token), std::move(eos_token), knows_tools, form_of(source, knows_tools)});
}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

ToolCallForm ChatTemplate::tool_call_form() const { return state_->form; }

std::string ChatTemplate::render(const std::vector<ChatTurn>& turns, bool add_generation_prompt, std::string_view tools) const {
  Json variables = {{"messages", Json::array()},
                    {"add_generation_prompt", add_generation_prompt},
                    {"bos_token", state_->bos_token},
                    {"eos_token", state_->eos_token}};
  if (!tools.empty() && state_->knows_tools) variables["tools"] = Json::parse(tools);
  const std::vector<ChatTurn> told = state_->knows_tools ? turns : tools_as_text(turns, tools);
  for (const ChatTurn& turn : told) variables["messages"].push_back(json_of(turn));
  // Bytes that are no UTF-8 become U+FFFD.
  const auto repair = Json::error_handler_t::replace;
  return state_->chat_template.render(variables.dump(-1, ' ', false, repair));
}

}  // namespace fovea::text
