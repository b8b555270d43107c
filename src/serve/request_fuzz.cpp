// Any bytes are a request that is read, or an ApiError that every API can put into words; whatever the outcome, its JSON is UTF-8. What an
// answer says does not depend on how it was cut into pieces.
#include <cstdint>
#include <cstdlib>

#include "serve/api_error.h"
#include "serve/call_fields.h"
#include "serve/stop_filter.h"
#include "serve/tool_call_filter.h"
#include "serve/tools.h"

namespace {

using namespace fovea::serve;

void read(std::string_view text) {
  const nlohmann::json body = parse_body(text);
  Fields fields(body);
  const std::vector<std::string> stops = stop_strings(fields, "stop", 4);
  (void)fields.number("temperature", 0, 2);
  (void)fields.integer("max_tokens", 1, 1000);
  (void)fields.boolean("stream");
  for (const fovea::ChatTurn& turn : chat_turns(fields.require("messages"), "messages")) {
    StopFilter filter(stops);
    const std::string shown = filter.push(turn.content) + filter.finish();
    for (const std::string& stop : stops) {
      if (shown.find(stop) != std::string::npos) abort();
    }
  }
  fields.refuse_others();
}

std::string said(std::string_view answer, size_t piece, ToolChoice choice) {
  auto tools = std::make_shared<ToolSet>();
  tools->tools = {{"f", "", nlohmann::ordered_json::object(), false}};
  tools->choice = choice;
  ToolCallFilter filter(std::move(tools));
  std::string text;
  const auto take = [&](const std::vector<AnswerPart>& parts) {
    for (const AnswerPart& part : parts) {
      text += part.text + part.call.tool + part.call.arguments;
      if (part.call.end != CallPart::End::no) text += part.call.end == CallPart::End::cut ? "!" : "|";
    }
  };
  for (size_t at = 0; at < answer.size(); at += piece) take(filter.push(answer.substr(at, piece)));
  take(filter.finish());
  return text;
}

void read_answer(std::string_view answer) {
  if (answer.empty() || answer.size() > 2000) return;
  for (const ToolChoice choice : {ToolChoice::automatic, ToolChoice::required}) {
    if (said(answer, answer.size(), choice) != said(answer, 1 + answer.size() % 7, choice)) abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  read_answer({reinterpret_cast<const char*>(data), size});
  try {
    read({reinterpret_cast<const char*>(data), size});
  } catch (const ApiError& error) {
    if (error.status != 400 || *error.what() == '\0') abort();
    for (const Dialect dialect : {Dialect::openai, Dialect::ollama, Dialect::anthropic}) {
      (void)nlohmann::json::parse(error_response(error, dialect).body);
    }
  }
  return 0;
}
