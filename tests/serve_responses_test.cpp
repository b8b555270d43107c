// /v1/responses and embeddings, as clients see them: on a tiny model, over sockets.
#include <cmath>

#include "serve_fixture.h"

namespace fovea::serve_tests {
namespace {

class ServeResponses : public Serve {
 protected:
  static json call(const json& input, const json& more = json::object()) {
    json body = {{"model", "tiny"}, {"input", input}, {"temperature", 0}, {"max_output_tokens", 24}};
    body.update(more);
    return body;
  }
  json respond(const json& body) { return json::parse(server().post("/v1/responses", body).body); }
  static std::vector<json> named_events(const std::string& stream) {
    std::vector<json> events;
    for (size_t at = 0; (at = stream.find("event: ", at)) != std::string::npos; ++at) {
      const size_t line = stream.find("\ndata: ", at), end = stream.find("\n\n", at);
      events.push_back(json::parse(stream.substr(line + 7, end - line - 7)));
      EXPECT_EQ(events.back().at("type"), stream.substr(at + 7, line - at - 7));
      EXPECT_EQ(events.back().at("sequence_number"), events.size() - 1);
    }
    return events;
  }
};

TEST_F(ServeResponses, SaysWhatAChatSays) {
  const json response = respond(call("Tell me of the sea."));
  EXPECT_EQ(response.at("object"), "response");
  EXPECT_EQ(response.at("status"), "incomplete");
  EXPECT_EQ(response.at("incomplete_details").at("reason"), "max_output_tokens");
  EXPECT_EQ(response.at("output").at(0).at("content").at(0).at("text"), answer_to(chat("Tell me of the sea.")));
  EXPECT_EQ(response.at("usage").at("output_tokens"), 24);
  const json items = {{{"role", "user"}, {"content", {{{"type", "input_text"}, {"text", "Tell me of the sea."}}}}}};
  EXPECT_EQ(respond(call(items)).at("output").at(0).at("content"), response.at("output").at(0).at("content"));
  const json told = respond(call("x", {{"instructions", "Be brief."}, {"max_output_tokens", 1}}));
  EXPECT_GT(told.at("usage").at("input_tokens"), respond(call("x", {{"max_output_tokens", 1}})).at("usage").at("input_tokens"));
}

TEST_F(ServeResponses, StreamsTheSameInNumberedEvents) {
  const json whole = respond(call("Tell me of the sea."));
  const std::vector<json> events = named_events(server().post("/v1/responses", call("Tell me of the sea.", {{"stream", true}})).body);
  EXPECT_EQ(events.front().at("type"), "response.created");
  EXPECT_EQ(events.back().at("type"), "response.incomplete");
  std::string text;
  for (const json& event : events) {
    if (event.at("type") == "response.output_text.delta") text += event.at("delta").get<std::string>();
  }
  const json said = whole.at("output").at(0).at("content");
  EXPECT_EQ(text, said.at(0).at("text"));
  EXPECT_EQ(events.back().at("response").at("output").at(0).at("content"), said);
}

TEST_F(ServeResponses, CallsAndTheirOutputsAreItems) {
  const json tools = {{{"type", "function"},
                       {"name", "weather"},
                       {"strict", true},
                       {"parameters",
                        {{"type", "object"},
                         {"properties", {{"city", {{"enum", {"Oslo", "Rome"}}}}}},
                         {"required", {"city"}},
                         {"additionalProperties", false}}}}};
  const json body =
      call("Weather?", {{"tools", tools}, {"tool_choice", {{"type", "function"}, {"name", "weather"}}}, {"max_output_tokens", 100}});
  const json response = respond(body);
  EXPECT_EQ(response.at("status"), "completed") << response;
  const json item = response.at("output").at(0);
  EXPECT_EQ(item.at("type"), "function_call");
  EXPECT_TRUE(json::parse(item.at("arguments").get<std::string>()).contains("city"));
  json streamed = body;
  streamed["stream"] = true;
  std::string arguments;
  for (const json& event : named_events(server().post("/v1/responses", streamed).body)) {
    if (event.at("type") == "response.function_call_arguments.delta") arguments += event.at("delta").get<std::string>();
  }
  EXPECT_EQ(arguments, item.at("arguments"));
  const json input = {{{"role", "user"}, {"content", "Weather?"}},
                      item,
                      {{"type", "function_call_output"}, {"call_id", item.at("call_id")}, {"output", "Snow."}}};
  EXPECT_EQ(server().post("/v1/responses", call(input, {{"tools", tools}})).status, 200);
}

TEST_F(ServeResponses, AFormOfTheTextIsKeptTo) {
  const json schema = {
      {"type", "object"}, {"properties", {{"ok", {{"type", "boolean"}}}}}, {"required", {"ok"}}, {"additionalProperties", false}};
  const json text = {{"format", {{"type", "json_schema"}, {"name", "x"}, {"strict", true}, {"schema", schema}}}};
  const json response = respond(call("Say", {{"text", text}, {"max_output_tokens", 60}}));
  EXPECT_TRUE(json::parse(response.at("output").at(0).at("content").at(0).at("text").get<std::string>()).at("ok").is_boolean());
}

TEST_F(ServeResponses, WhatIsRepeatedHasABound) {
  const json body = {
      {"model", "tiny"}, {"input", "Hi"}, {"stream", true}, {"max_output_tokens", 4}, {"metadata", {{"a", std::string(1 << 20, 'x')}}}};
  EXPECT_EQ(server().post("/v1/responses", body).status, 400);
}

TEST_F(ServeResponses, WhatWouldHaveToBeStoredIsRefused) {
  for (const json& more :
       {json{{"previous_response_id", "resp_1"}}, json{{"conversation", "c"}}, json{{"background", true}}, json{{"truncation", "auto"}},
        json{{"nonsense", 1}}, json{{"text", {{"format", {{"type", "xml"}}}}}}, json{{"input", json::array()}},
        json{{"input", {{{"type", "file"}}}}}, json{{"tools", {{{"type", "web_search"}}}}}}) {
    const HttpAnswer answer = server().post("/v1/responses", call("Hello", more));
    EXPECT_EQ(answer.status, 400) << more;
    EXPECT_TRUE(json::parse(answer.body).at("error").contains("param")) << more;
  }
}

class ServeEmbeddings : public Serve {
 protected:
  json embed(const json& input, const json& more = json::object()) {
    json body = {{"model", "tiny"}, {"input", input}};
    body.update(more);
    return json::parse(server().post("/v1/embeddings", body).body);
  }
};

TEST_F(ServeEmbeddings, AreUnitVectorsThatDoNotDependOnCompanyOrChunks) {
  const std::string text(400, 'a');
  const json answer = embed({text, "Tell me of the sea.", "the sea"});
  ASSERT_EQ(answer.at("data").size(), 3u);
  for (const json& one : answer.at("data")) {
    double squares = 0;
    for (const double value : one.at("embedding")) squares += value * value;
    EXPECT_NEAR(squares, 1, 1e-5);
    EXPECT_EQ(one.at("embedding").size(), static_cast<size_t>(model_->facts().hidden));
  }
  EXPECT_NE(answer.at("data").at(1).at("embedding"), answer.at("data").at(2).at("embedding"));
  EXPECT_EQ(embed("the sea").at("data").at(0).at("embedding"), answer.at("data").at(2).at("embedding"));
  const json first = embed(text);
  EXPECT_EQ(first.at("data").at(0).at("embedding"), answer.at("data").at(0).at("embedding"));
  EXPECT_EQ(embed(text), first);  // nothing of it was kept
  EngineOptions whole = engine_options();
  whole.chunk_tokens = 512;
  const RunningServer other(model_, whole, server_options());
  EXPECT_EQ(json::parse(other.post("/v1/embeddings", {{"model", "tiny"}, {"input", text}}).body), first);
  EXPECT_EQ(embed(model_->tokenize("the sea")).at("data"), embed("the sea").at("data"));
}

TEST_F(ServeEmbeddings, OllamasAreTheSame) {
  const json vectors = json::parse(server().post("/api/embed", {{"model", "tiny"}, {"input", {"the sea", "a"}}}).body).at("embeddings");
  EXPECT_EQ(vectors.at(0), embed("the sea").at("data").at(0).at("embedding"));
  EXPECT_EQ(vectors.size(), 2u);
}

TEST_F(ServeEmbeddings, InBase64TheyAreTheBytesOfTheFloats) {
  const json floats = embed("the sea").at("data").at(0).at("embedding");
  const std::string text = embed("the sea", {{"encoding_format", "base64"}}).at("data").at(0).at("embedding");
  EXPECT_EQ(text.size(), (floats.size() * sizeof(float) + 2) / 3 * 4);
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text.substr(0, text.find('='))) {
    bits = bits << 6 | static_cast<uint32_t>(digits.find(c));
    if ((count += 6) >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 255);
  }
  ASSERT_EQ(bytes.size(), floats.size() * sizeof(float));
  for (size_t i = 0; i < floats.size(); ++i) {
    float value = 0;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    EXPECT_EQ(value, floats.at(i).get<float>());
  }
}

TEST_F(ServeEmbeddings, MoreThanAKeyMayHaveUnderWayTakeTurns) {
  ServerOptions options = server_options();
  options.api_keys = {"key"};
  options.limits.per_key = 2;
  options.limits.waiting = 0;
  serve(options);
  const std::vector<std::string> texts(70, "the sea");
  const HttpAnswer answer = server().post("/v1/embeddings", {{"model", "tiny"}, {"input", texts}}, "Authorization: Bearer key\r\n");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(json::parse(answer.body).at("data").size(), texts.size());
}

TEST_F(ServeEmbeddings, WrongOnesAreRefused) {
  for (const json& body : {json{{"input", json::array()}}, json{{"input", 7}}, json{{"input", {-1}}},
                           json{{"input", std::string(3000, 'x')}}, json{{"input", "a"}, {"dimensions", 3}},
                           json{{"input", "a"}, {"encoding_format", "x"}}, json{{"input", "a"}, {"y", 1}}, json::object()}) {
    json full = body;
    full["model"] = "tiny";
    EXPECT_EQ(server().post("/v1/embeddings", full).status, 400) << body;
  }
}

}  // namespace
}  // namespace fovea::serve_tests
