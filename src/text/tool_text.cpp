#include "text/tool_text.h"

#include <nlohmann/json.hpp>
#include <string>

namespace fovea::text {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kRepair = Json::error_handler_t::replace;

std::string description(std::string_view tools) {
  std::string text =
      "# Tools\n\nYou may call functions to help with the user's request. Their signatures are within <tools></tools>:\n<tools>\n";
  for (const Json& tool : Json::parse(tools)) text += tool.dump(-1, ' ', false, kRepair) + "\n";
  return text +
         "</tools>\n\nTo call one, answer with its name and arguments as a JSON object within <tool_call></tool_call>:\n"
         "<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>";
}

std::string with_calls(const ChatTurn& turn) {
  std::string text = turn.content;
  for (const ToolCall& call : turn.tool_calls) {
    if (!text.empty()) text += "\n";
    text += "<tool_call>\n{\"name\": " + Json(call.name).dump(-1, ' ', false, kRepair) + ", \"arguments\": " + call.arguments +
            "}\n</tool_call>";
  }
  return text;
}

}  // namespace

std::vector<ChatTurn> tools_as_text(const std::vector<ChatTurn>& turns, std::string_view tools) {
  std::vector<ChatTurn> told;
  bool after_result = false;
  for (const ChatTurn& turn : turns) {
    if (turn.role != "tool") {
      told.push_back({turn.role, with_calls(turn)});
      after_result = false;
      continue;
    }
    const std::string result = "<tool_response>\n" + turn.content + "\n</tool_response>";
    if (after_result) told.back().content += "\n" + result;
    else told.push_back({"user", result});
    after_result = true;
  }
  if (tools.empty()) return told;
  if (told.empty() || told.front().role != "system") told.insert(told.begin(), {"system", ""});
  std::string& system = told.front().content;
  system += (system.empty() ? "" : "\n\n") + description(tools);
  return told;
}

}  // namespace fovea::text
