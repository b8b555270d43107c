// Tools, for models whose template does not know of them.
#pragma once

#include <string_view>
#include <vector>

#include "fovea/chat.h"

namespace fovea::text {

// Calls and their results as text in turns that every template takes: what the tools are stands in the system's turn, calls are
// <tool_call>{...}</tool_call>, results are a turn of the user with <tool_response>...</tool_response> (the form of Hermes and Qwen).
// tools: a JSON list in OpenAI's form; empty: none are told of.
std::vector<ChatTurn> tools_as_text(const std::vector<ChatTurn>& turns, std::string_view tools);

}  // namespace fovea::text
