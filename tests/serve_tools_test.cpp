// Tools, in all three APIs: on a tiny model, which calls them where it has to, or is told to write a call.
#include "serve_fixture.h"

namespace fovea::serve_tests {
namespace {

const json kParameters = {
    {"type", "object"},
    {"properties", {{"city", {{"enum", {"Oslo", "Rome"}}}}, {"days", {{"type", "integer"}, {"minimum", 1}, {"maximum", 9}}}}},
    {"required", {"city", "days"}},
    {"additionalProperties", false}};
const json kTools = {
    {{"type", "function"}, {"function", {{"name", "weather"}, {"description", "Weather of days to come"}, {"parameters", kParameters}}}},
    {{"type", "function"}, {"function", {{"name", "time"}}}}};
const std::string kCall = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\", \"days\": 2}}\n</tool_call>";

class ServeTools : public Serve {
 protected:
  void SetUp() override {  // what tells of the tools is long in the tokens of the tiny model
    EngineOptions options = engine_options();
    options.context_tokens = 2048;
    server_ = std::make_unique<RunningServer>(model_, options, server_options());
  }
  static json with_tools(const json& more = json::object()) {
    json body = chat("Weather?", {{"tools", kTools}, {"max_tokens", 300}});
    body.update(more);
    return body;
  }
  static json saying(const std::string& text) { return {{"structured_outputs", {{"choice", {text}}}}}; }
  static void expect_weather(const json& arguments) {
    EXPECT_TRUE(arguments.at("city") == "Oslo" || arguments.at("city") == "Rome") << arguments;
    EXPECT_TRUE(arguments.at("days") >= 1 && arguments.at("days") <= 9) << arguments;
  }
  json refusal(const json& more) {
    const HttpAnswer answer = server().post("/v1/chat/completions", chat("Hello", more));
    EXPECT_EQ(answer.status, 400) << answer.body;
    return json::parse(answer.body).at("error");
  }
};

TEST_F(ServeTools, ACallThatIsWrittenIsToldAsOne) {
  const json whole = ask(with_tools(saying("One moment.\n" + kCall))).at("choices").at(0);
  EXPECT_EQ(whole.at("finish_reason"), "tool_calls");
  EXPECT_EQ(whole.at("message").at("content"), "One moment.");
  const json call = whole.at("message").at("tool_calls").at(0);
  EXPECT_EQ(call.at("type"), "function");
  EXPECT_TRUE(call.at("id").get<std::string>().starts_with("call_"));
  EXPECT_EQ(call.at("function").at("name"), "weather");
  EXPECT_EQ(json::parse(call.at("function").at("arguments").get<std::string>()), (json{{"city", "Oslo"}, {"days", 2}}));
  EXPECT_TRUE(ask(with_tools(saying(kCall))).at("choices").at(0).at("message").at("content").is_null());
  const json text = ask(with_tools(saying("It rains."))).at("choices").at(0);
  EXPECT_EQ(text.at("finish_reason"), "stop");
  EXPECT_FALSE(text.at("message").contains("tool_calls"));
  json none = with_tools(saying(kCall));
  none["tool_choice"] = "none";
  EXPECT_EQ(ask(none).at("choices").at(0).at("message").at("content"), kCall);
}

TEST_F(ServeTools, StreamsTellWhatIsCalledAndThenWithWhat) {
  json body = with_tools(saying("One moment.\n" + kCall + "\n" + kCall));
  body["stream"] = true;
  std::string text, reason;
  std::vector<json> calls;
  for (const json& event : events_of(server().post("/v1/chat/completions", body).body)) {
    const json& choice = event.at("choices").at(0);
    if (!choice.at("finish_reason").is_null()) reason = choice.at("finish_reason");
    text += choice.at("delta").value("content", "");
    for (const json& part : choice.at("delta").value("tool_calls", json::array())) {
      const size_t index = part.at("index");
      if (index == calls.size()) calls.push_back(part);
      else
        calls.at(index)["function"]["arguments"] =
            calls.at(index)["function"]["arguments"].get<std::string>() + part.at("function").at("arguments").get<std::string>();
    }
  }
  EXPECT_EQ(text, "One moment.");
  EXPECT_EQ(reason, "tool_calls");
  ASSERT_EQ(calls.size(), 2u);
  for (const json& call : calls) expect_weather(json::parse(call.at("function").at("arguments").get<std::string>()));
  EXPECT_NE(calls[0].at("id"), calls[1].at("id"));
}

TEST_F(ServeTools, OneThatIsRequiredIsMadeByItsSchema) {
  json body = with_tools({{"tool_choice", "required"},
                          {"parallel_tool_calls", false},
                          {"temperature", 1.2},
                          {"seed", 3},
                          {"n", 3},
                          {"tools", json::array({kTools[0]})}});
  const json answer = ask(body);
  for (const json& choice : answer.at("choices")) {
    EXPECT_EQ(choice.at("finish_reason"), "tool_calls");
    ASSERT_EQ(choice.at("message").at("tool_calls").size(), 1u);
    expect_weather(json::parse(choice.at("message").at("tool_calls").at(0).at("function").at("arguments").get<std::string>()));
  }
  body = with_tools({{"tool_choice", {{"type", "function"}, {"function", {{"name", "weather"}}}}}});
  const json named = ask(body).at("choices").at(0);
  EXPECT_EQ(named.at("finish_reason"), "stop");
  EXPECT_EQ(named.at("message").at("tool_calls").at(0).at("function").at("name"), "weather");
}

TEST_F(ServeTools, ResultsAndCallsBelongToTheConversation) {
  const json call = {
      {"id", "call_1"}, {"type", "function"}, {"function", {{"name", "weather"}, {"arguments", "{\"city\": \"Oslo\", \"days\": 2}"}}}};
  const json messages = {{{"role", "user"}, {"content", "Weather?"}},
                         {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {call}}},
                         {{"role", "tool"}, {"tool_call_id", "call_1"}, {"content", "Snow."}}};
  const std::string prompt = json::parse(server().post("/apply-template", {{"messages", messages}, {"tools", kTools}}).body).at("prompt");
  EXPECT_NE(prompt.find(kCall), std::string::npos) << prompt;
  EXPECT_NE(prompt.find("<tool_response>\nSnow.\n</tool_response>"), std::string::npos) << prompt;
  EXPECT_NE(prompt.find("Weather of days to come"), std::string::npos) << prompt;
  EXPECT_EQ(server().post("/v1/chat/completions", {{"model", "tiny"}, {"messages", messages}, {"tools", kTools}, {"max_tokens", 4}}).status,
            200);
}

TEST_F(ServeTools, WrongOnesAreRefused) {
  EXPECT_EQ(refusal({{"tools", {{{"type", "web"}}}}}).at("param"), "tools[0].type");
  EXPECT_EQ(refusal({{"tools", {{{"type", "function"}, {"function", {{"name", "a b"}}}}}}}).at("param"), "tools[0].function.name");
  EXPECT_EQ(refusal({{"tool_choice", "required"}}).at("param"), "tool_choice");
  EXPECT_EQ(refusal({{"tools", kTools}, {"tool_choice", "maybe"}}).at("param"), "tool_choice");
  EXPECT_EQ(refusal({{"tools", kTools}, {"tool_choice", {{"type", "function"}, {"function", {{"name", "other"}}}}}}).at("param"),
            "tool_choice");
  const json bad = {{{"type", "function"}, {"function", {{"name", "f"}, {"parameters", {{"type", "nonsense"}}}}}}};
  EXPECT_EQ(refusal({{"tools", bad}, {"tool_choice", "required"}}).at("param"), "tools");
  EXPECT_EQ(refusal({{"tools", kTools}, {"response_format", {{"type", "json_object"}}}}).at("code"), "unsupported_parameter");
  EXPECT_EQ(refusal({{"messages", {{{"role", "tool"}, {"content", "x"}}}}}).at("param"), "messages[0].tool_call_id");
  EXPECT_EQ(
      refusal({{"messages", {{{"role", "assistant"}, {"tool_calls", {{{"function", {{"name", "f"}, {"arguments", 1}}}}}}}}}}).at("param"),
      "messages[0].tool_calls[0].function.arguments");
}

TEST_F(ServeTools, AnthropicsAreBlocksAndTheirInputComesInDeltas) {
  const json tools = {{{"name", "weather"}, {"description", "of days to come"}, {"input_schema", kParameters}}};
  json body = {{"model", "tiny"},
               {"max_tokens", 300},
               {"temperature", 0},
               {"tools", tools},
               {"tool_choice", {{"type", "tool"}, {"name", "weather"}}},
               {"messages", {{{"role", "user"}, {"content", "Weather?"}}}}};
  const json whole = json::parse(server().post("/v1/messages", body).body);
  EXPECT_EQ(whole.at("stop_reason"), "tool_use");
  ASSERT_EQ(whole.at("content").size(), 1u);
  const json block = whole.at("content").at(0);
  EXPECT_EQ(block.at("type"), "tool_use");
  expect_weather(block.at("input"));
  body["stream"] = true;
  const std::string stream = server().post("/v1/messages", body).body;
  std::string partial;
  int open = 0;
  for (size_t at = 0; (at = stream.find("data: ", at)) != std::string::npos; ++at) {
    const json event = json::parse(stream.substr(at + 6, stream.find('\n', at) - at - 6));
    if (event.at("type") == "content_block_start") {
      ++open;
      EXPECT_EQ(event.at("content_block").at("type"), "tool_use");
    }
    if (event.at("type") == "content_block_stop") --open;
    if (event.at("type") == "content_block_delta") partial += event.at("delta").at("partial_json").get<std::string>();
    if (event.at("type") == "message_delta") {
      EXPECT_EQ(event.at("delta").at("stop_reason"), "tool_use");
    }
  }
  EXPECT_EQ(open, 0);
  EXPECT_EQ(json::parse(partial), block.at("input"));
  body.erase("stream");
  body.erase("tool_choice");
  body["messages"].push_back({{"role", "assistant"}, {"content", {block}}});
  body["messages"].push_back(
      {{"role", "user"},
       {"content",
        {{{"type", "tool_result"}, {"tool_use_id", block.at("id")}, {"content", "Snow."}}, {{"type", "text"}, {"text", "And now?"}}}}});
  body["max_tokens"] = 4;
  EXPECT_EQ(server().post("/v1/messages", body).status, 200);
  body["tool_choice"] = {{"type", "some"}};
  EXPECT_EQ(server().post("/v1/messages", body).status, 400);
}

TEST_F(ServeTools, OllamasArgumentsAreObjects) {
  const json messages = {{{"role", "user"}, {"content", "Weather?"}},
                         {{"role", "assistant"},
                          {"content", ""},
                          {"tool_calls", {{{"function", {{"name", "weather"}, {"arguments", {{"city", "Oslo"}, {"days", 2}}}}}}}}},
                         {{"role", "tool"}, {"tool_name", "weather"}, {"content", "Snow."}}};
  const HttpAnswer answer = server().post(
      "/api/chat", {{"model", "tiny"}, {"stream", false}, {"messages", messages}, {"tools", kTools}, {"options", {{"num_predict", 4}}}});
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(server().post("/api/chat", {{"model", "tiny"}, {"messages", messages}, {"tools", {{{"type", "web"}}}}}).status, 400);
}

}  // namespace
}  // namespace fovea::serve_tests
