// Ollama's and Anthropic's routes, as clients see them: on a tiny model, over sockets.
#include <sys/resource.h>

#include "serve_fixture.h"

namespace fovea::serve_tests {
namespace {

const json kHello = {{{"role", "user"}, {"content", "Tell me of the sea."}}};

int64_t peak_bytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

class ServeOllama : public Serve {
 protected:
  static json call(const json& more, const json& options = json::object()) {
    json body = {{"model", "tiny"}, {"options", {{"temperature", 0}, {"repeat_penalty", 1}, {"num_predict", 24}}}};
    body["options"].update(options);
    body.update(more);
    return body;
  }
  static std::vector<json> lines_of(const std::string& body) {
    std::vector<json> lines;
    for (size_t at = 0, end; (end = body.find('\n', at)) != std::string::npos; at = end + 1)
      lines.push_back(json::parse(body.substr(at, end - at)));
    return lines;
  }
  json whole(const std::string& path, json body) {
    body["stream"] = false;
    return json::parse(server().post(path, body).body);
  }
};

TEST_F(ServeOllama, AChatSaysTheSameInLinesAndWhole) {
  const HttpAnswer answer = server().post("/api/chat", call({{"messages", kHello}}));
  EXPECT_EQ(answer.headers.at("content-type"), "application/x-ndjson");
  const std::vector<json> lines = lines_of(answer.body);
  ASSERT_GE(lines.size(), 2u);
  std::string text;
  for (const json& line : lines) {
    EXPECT_EQ(line.at("done"), &line == &lines.back());
    text += line.at("message").at("content").get<std::string>();
  }
  EXPECT_EQ(lines.back().at("eval_count"), 24);
  EXPECT_EQ(lines.back().at("done_reason"), "length");
  EXPECT_EQ(whole("/api/chat", call({{"messages", kHello}})).at("message").at("content"), text);
  EXPECT_EQ(text, answer_to(chat("Tell me of the sea.")));
}

TEST_F(ServeOllama, GenerateTakesRawTextsAndTurns) {
  const json completion = {{"model", "tiny"}, {"prompt", "Tell me of the sea."}, {"temperature", 0}, {"max_tokens", 24}};
  EXPECT_EQ(whole("/api/generate", call({{"prompt", "Tell me of the sea."}, {"raw", true}})).at("response"),
            json::parse(server().post("/v1/completions", completion).body).at("choices").at(0).at("text"));
  EXPECT_EQ(whole("/api/generate", call({{"prompt", "Tell me of the sea."}})).at("response"), answer_to(chat("Tell me of the sea.")));
  EXPECT_EQ(whole("/api/generate", call({{"prompt", ""}})).at("done_reason"), "load");
}

TEST_F(ServeOllama, TellsWhichModelItHas) {
  EXPECT_EQ(json::parse(server().get("/api/tags").body).at("models").at(0).at("name"), "tiny");
  EXPECT_EQ(json::parse(server().get("/api/ps").body).at("models").at(0).at("context_length"), 512);
  EXPECT_FALSE(json::parse(server().get("/api/version").body).at("version").get<std::string>().empty());
  for (const char* field : {"model", "name"}) {
    EXPECT_EQ(json::parse(server().post("/api/show", {{field, "tiny:latest"}}).body).at("model_info").at("general.architecture"), "llama");
  }
}

TEST_F(ServeOllama, AWindowOfAnyLengthTakesNoMoreMemoryThanTheContext) {
  const json all = whole("/api/chat", call({{"messages", kHello}}, {{"repeat_penalty", 1.5}, {"repeat_last_n", -1}}));
  const int64_t before = peak_bytes();
  const json longest = whole("/api/chat", call({{"messages", kHello}}, {{"repeat_penalty", 1.5}, {"repeat_last_n", 1 << 30}}));
  EXPECT_LT(peak_bytes() - before, int64_t{256} << 20);
  EXPECT_EQ(longest.at("message"), all.at("message"));
  EXPECT_NE(longest.at("message"), whole("/api/chat", call({{"messages", kHello}})).at("message"));
}

TEST_F(ServeOllama, WhatIsWrongIsToldInItsWords) {
  const auto error_for = [&](const json& more, int status = 400) {
    const HttpAnswer answer = server().post("/api/chat", call(more));
    EXPECT_EQ(answer.status, status) << more.dump() << answer.body;
    return json::parse(answer.body).at("error").get<std::string>();
  };
  EXPECT_EQ(error_for({{"model", "other"}, {"messages", kHello}}, 404), "model 'other' not found");
  EXPECT_NE(error_for({{"messages", {{{"role", "king"}, {"content", "x"}}}}}).find("invalid role: king"), std::string::npos);
  EXPECT_NE(error_for({{"messages", "Hello"}}).find("array"), std::string::npos);
  EXPECT_NE(error_for({{"messages", std::vector<json>(4097, kHello.at(0))}}).find("4096"), std::string::npos);
  EXPECT_NE(error_for({{"messages", kHello}, {"tools", {{{"type", "function"}}}}}).find("tools"), std::string::npos);
  EXPECT_NE(error_for({{"messages", kHello}, {"options", {{"top_p", 2}}}}).find("options.top_p"), std::string::npos);
  EXPECT_NE(error_for({{"messages", {{{"role", "user"}, {"content", std::string(3000, 'z')}}}}}).find("512 tokens"), std::string::npos);
}

class ServeAnthropic : public Serve {
 protected:
  static json call(const json& more = json::object()) {
    json body = {{"model", "tiny"}, {"max_tokens", 24}, {"temperature", 0}, {"messages", kHello}};
    body.update(more);
    return body;
  }
  json message(const json& body) { return json::parse(server().post("/v1/messages", body).body); }
};

TEST_F(ServeAnthropic, AMessageSaysTheSameInEventsAndWhole) {
  const json whole = message(call());
  EXPECT_EQ(whole.at("type"), "message");
  EXPECT_EQ(whole.at("stop_reason"), "max_tokens");
  EXPECT_EQ(whole.at("usage").at("output_tokens"), 24);
  const std::string text = whole.at("content").at(0).at("text");
  EXPECT_EQ(text, answer_to(chat("Tell me of the sea.")));
  const HttpAnswer answer = server().post("/v1/messages", call({{"stream", true}}));
  std::vector<std::string> types;
  std::string streamed;
  for (size_t at = 0, end; (end = answer.body.find("\n\n", at)) != std::string::npos; at = end + 2) {
    const std::string event = answer.body.substr(at, end - at);
    const size_t data = event.find("\ndata: ");
    ASSERT_NE(data, std::string::npos) << event;
    const json object = json::parse(event.substr(data + 7));
    EXPECT_EQ(event.substr(0, data), "event: " + object.at("type").get<std::string>());
    if (object.at("type") == "content_block_delta") streamed += object.at("delta").at("text").get<std::string>();
    if (types.empty() || types.back() != object.at("type")) types.push_back(object.at("type"));
  }
  EXPECT_EQ(streamed, text);
  EXPECT_EQ(types, (std::vector<std::string>{"message_start", "content_block_start", "ping", "content_block_delta", "content_block_stop",
                                             "message_delta", "message_stop"}));
}

TEST_F(ServeAnthropic, ALastTurnOfTheAssistantIsContinued) {
  const std::string begun = "The sea";
  json messages = kHello;
  messages.push_back({{"role", "assistant"}, {"content", begun}});
  std::vector<int32_t> tokens = model_->tokenize(model_->render_chat({{"user", "Tell me of the sea."}}), false, true);
  if (model_->bos() && tokens.front() != *model_->bos()) tokens.insert(tokens.begin(), *model_->bos());
  for (const int32_t token : model_->tokenize(begun, false)) tokens.push_back(token);
  const json completion = {{"model", "tiny"}, {"prompt", tokens}, {"temperature", 0}, {"max_tokens", 24}};
  EXPECT_EQ(message(call({{"messages", messages}})).at("content").at(0).at("text"),
            json::parse(server().post("/v1/completions", completion).body).at("choices").at(0).at("text"));
}

TEST_F(ServeAnthropic, TokensAreCountedAsTheyAreRead) {
  const json asked = {{"model", "tiny"}, {"system", "Be brief"}, {"messages", kHello}};
  const json counted = json::parse(server().post("/v1/messages/count_tokens", asked).body);
  const json usage = message(call({{"system", "Be brief"}})).at("usage");
  EXPECT_EQ(counted.at("input_tokens"), usage.at("input_tokens").get<int>() + usage.at("cache_read_input_tokens").get<int>());
}

TEST_F(ServeAnthropic, AStopSequenceEndsItAndIsNamed) {
  const std::string text = message(call()).at("content").at(0).at("text");
  const size_t at = text.find_last_of("abcdefghijklmnopqrstuvwxyz");
  ASSERT_NE(at, std::string::npos) << text;
  const std::string stop = text.substr(at, 1);
  const json stopped = message(call({{"stop_sequences", {stop}}}));
  EXPECT_EQ(stopped.at("stop_reason"), "stop_sequence");
  EXPECT_EQ(stopped.at("stop_sequence"), stop);
  EXPECT_EQ(stopped.at("content").at(0).at("text"), text.substr(0, text.find(stop)));
}

TEST_F(ServeAnthropic, WhatIsWrongIsToldInItsWords) {
  const auto error_for = [&](const json& more, int status = 400) {
    const HttpAnswer answer = server().post("/v1/messages", call(more));
    EXPECT_EQ(answer.status, status) << more.dump() << answer.body;
    const json body = json::parse(answer.body);
    EXPECT_EQ(body.at("type"), "error");
    EXPECT_EQ(body.at("error").at("type"), status == 404 ? "not_found_error" : "invalid_request_error");
    return body.at("error").at("message").get<std::string>();
  };
  EXPECT_EQ(error_for({{"model", "other"}}, 404), "model: other");
  EXPECT_EQ(error_for({{"max_tokens", nullptr}}), "max_tokens: Field required");
  EXPECT_EQ(error_for({{"colour", "red"}}), "colour: Extra inputs are not permitted");
  EXPECT_EQ(error_for({{"thinking", true}}), "thinking: Input should be an object");
  EXPECT_EQ(error_for({{"thinking", {{"type", 5}}}}), "thinking.type: Input should be a string");
  EXPECT_EQ(error_for({{"thinking", {{"type", "enabled"}, {"budget_tokens", 1024}}}}), "thinking: not supported by this server");
  EXPECT_EQ(error_for({{"messages", json::array()}}), "messages: at least one message is required");
  EXPECT_EQ(server().post("/v1/messages", call({{"thinking", {{"type", "disabled"}}}})).status, 200);
}

}  // namespace
}  // namespace fovea::serve_tests
