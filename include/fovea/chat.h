// What is said in a conversation.
#pragma once

#include <string>
#include <vector>

namespace fovea {

struct ToolCall {
  std::string id;  // as the client that runs tools knows it; may be empty
  std::string name;
  std::string arguments;  // a JSON object
};

struct ChatTurn {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string content;
  std::vector<ToolCall> tool_calls = {};          // of the assistant
  std::string tool_call_id = {}, tool_name = {};  // of a tool: the call that its content answers
};

// How a model writes a call: {"name": ..., ARGUMENTS: {...}}, in <tool_call></tool_call> if tagged.
struct ToolCallForm {
  bool tagged = true;
  std::string arguments = "arguments";
};

}  // namespace fovea
