// Answers that have to be something: on a tiny model, whose random weights would never write it by themselves.
#include <regex>

#include "serve_fixture.h"

namespace fovea::serve_tests {
namespace {

const json kSchema = {{"type", "object"},
                      {"properties",
                       {{"name", {{"type", "string"}, {"maxLength", 8}}},
                        {"size", {{"enum", {"small", "big"}}}},
                        {"count", {{"type", "integer"}, {"minimum", 0}, {"maximum", 99}}}}},
                      {"required", {"name", "size", "count"}},
                      {"additionalProperties", false}};

json by_schema(const json& schema, bool strict = true) {
  return {{"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "thing"}, {"schema", schema}, {"strict", strict}}}}},
          {"max_tokens", 200}};
}

class ServeGrammar : public Serve {
 protected:
  static void expect_thing(const std::string& text) {
    SCOPED_TRACE(text);
    const json thing = json::parse(text, nullptr, false);
    ASSERT_TRUE(thing.is_object());
    EXPECT_EQ(thing.size(), 3u);
    EXPECT_TRUE(thing.at("name").is_string());
    EXPECT_TRUE(thing.at("size") == "small" || thing.at("size") == "big");
    EXPECT_TRUE(thing.at("count").is_number_unsigned() && thing.at("count") < 100);
  }
  json refusal(const json& more, const std::string& path = "/v1/chat/completions") {
    const HttpAnswer answer = server().post(path, chat("Hello", more));
    EXPECT_EQ(answer.status, 400) << answer.body;
    return json::parse(answer.body).at("error");
  }
};

TEST_F(ServeGrammar, EveryChoiceKeepsToTheSchemaGreedyAndSampled) {
  expect_thing(answer_to(chat("A thing", by_schema(kSchema))));
  json body = chat("A thing", by_schema(kSchema));
  body.update({{"n", 4}, {"temperature", 1.5}, {"seed", 11}, {"frequency_penalty", 0.5}});
  const json answer = ask(body);
  std::set<std::string> texts;
  for (const json& choice : answer.at("choices")) {
    EXPECT_EQ(choice.at("finish_reason"), "stop");
    expect_thing(choice.at("message").at("content"));
    texts.insert(choice.at("message").at("content"));
  }
  EXPECT_GT(texts.size(), 1u);
  EXPECT_EQ(ask(body).at("choices"), answer.at("choices"));
}

TEST_F(ServeGrammar, StreamsSayTheSameAndLogProbabilitiesAreTheModelsOwn) {
  json body = chat("A thing", by_schema(kSchema));
  body.update({{"logprobs", true}, {"top_logprobs", 1}});
  const json whole = ask(body).at("choices").at(0);
  std::string spelled;
  bool against_its_will = false;
  for (const json& token : whole.at("logprobs").at("content")) {
    for (const int byte : token.at("bytes")) spelled += static_cast<char>(byte);
    against_its_will |= token.at("top_logprobs").at(0).at("token") != token.at("token");
  }
  EXPECT_EQ(spelled, whole.at("message").at("content"));
  EXPECT_TRUE(against_its_will);
  body["stream"] = true;
  EXPECT_EQ(text_of(events_of(server().post("/v1/chat/completions", body).body)), spelled);
}

TEST_F(ServeGrammar, OneThatIsCutSaysSoAndStopStringsEndItToo) {
  json body = chat("A thing", by_schema(kSchema));
  const std::string text = answer_to(body);
  body["max_tokens"] = 5;
  const json cut = ask(body).at("choices").at(0);
  EXPECT_EQ(cut.at("finish_reason"), "length");
  EXPECT_TRUE(text.starts_with(cut.at("message").at("content").get<std::string>()));
  body["max_tokens"] = 200;
  body["stop"] = "\"size\"";
  const json stopped = ask(body).at("choices").at(0);
  EXPECT_EQ(stopped.at("finish_reason"), "stop");
  EXPECT_EQ(stopped.at("message").at("content"), text.substr(0, text.find("\"size\"")));
}

TEST_F(ServeGrammar, TakesObjectsPatternsChoicesAndGrammars) {
  const auto structured = [&](const json& wanted) { return answer_to(chat("Say", {{"structured_outputs", wanted}, {"max_tokens", 60}})); };
  EXPECT_TRUE(std::regex_match(structured({{"regex", "[A-D]{3}-[0-9]{2}"}}), std::regex("[A-D]{3}-[0-9]{2}")));
  const std::string chosen = structured({{"choice", {"yes \"indeed\"", "no"}}});
  EXPECT_TRUE(chosen == "yes \"indeed\"" || chosen == "no") << chosen;
  EXPECT_TRUE(
      std::regex_match(structured({{"grammar", "start: (\"ab\" | \"cd\") start2\nstart2: \"e\" | \"f\""}}), std::regex("(ab|cd)[ef]")));
  expect_thing(structured({{"json", kSchema}}));
  expect_thing(structured({{"json", kSchema.dump()}}));
  json any = chat("Say", {{"response_format", {{"type", "json_object"}}}, {"max_tokens", 60}});
  EXPECT_TRUE(answer_to(any).starts_with("{"));
  const json completion = {{"model", "tiny"},
                           {"prompt", "Say"},
                           {"temperature", 0},
                           {"structured_outputs", {{"regex", "(yes|no)+!"}}},
                           {"logit_bias", {{"3", 2}}}};
  const std::string text = json::parse(server().post("/v1/completions", completion).body).at("choices").at(0).at("text");
  EXPECT_TRUE(std::regex_search(text, std::regex("^(yes|no)"))) << text;
}

TEST_F(ServeGrammar, WhatCannotBeKeptToIsRefusedAsOpenAiDoes) {
  const json nonsense = refusal(by_schema({{"type", "nonsense"}}));
  EXPECT_EQ(nonsense.at("param"), "response_format");
  EXPECT_TRUE(nonsense.at("message").get<std::string>().starts_with("Invalid schema for response_format 'thing': ")) << nonsense;
  const json unique = {{"type", "array"}, {"items", {{"type", "integer"}}}, {"uniqueItems", true}};
  EXPECT_EQ(refusal(by_schema(unique, true)).at("param"), "response_format");
  EXPECT_EQ(server().post("/v1/chat/completions", chat("Hello", by_schema(unique, false))).status, 200);
  EXPECT_EQ(refusal({{"response_format", {{"type", "xml"}}}}).at("param"), "response_format.type");
  EXPECT_EQ(refusal({{"response_format", {{"type", "json_schema"}}}}).at("param"), "response_format.json_schema");
  EXPECT_EQ(refusal({{"response_format", {{"type", "text"}, {"x", 1}}}}).at("code"), "unknown_parameter");
  EXPECT_EQ(refusal({{"structured_outputs", {{"regex", "("}}}}).at("param"), "structured_outputs.regex");
  EXPECT_EQ(refusal({{"structured_outputs", {{"regex", std::string(20000, 'a')}}}}).at("param"), "structured_outputs.regex");
  EXPECT_EQ(refusal({{"structured_outputs", {{"regex", "a"}, {"grammar", "start: \"a\""}}}}).at("param"), "structured_outputs");
  EXPECT_EQ(refusal({{"structured_outputs", {{"choice", json::array()}}}}).at("code"), "invalid_type");
  json both = by_schema(kSchema);
  both["structured_outputs"] = {{"regex", "a"}};
  EXPECT_EQ(refusal(both).at("param"), "structured_outputs");
  EXPECT_EQ(server().get("/health").status, 200);
}

TEST_F(ServeGrammar, OllamasFormatIsJsonOrASchema) {
  const auto ask_ollama = [&](const json& format) {
    return server().post("/api/chat", {{"model", "tiny"},
                                       {"stream", false},
                                       {"messages", {{{"role", "user"}, {"content", "A thing"}}}},
                                       {"format", format},
                                       {"options", {{"temperature", 1}, {"seed", 4}, {"num_predict", 200}}}});
  };
  expect_thing(json::parse(ask_ollama(kSchema).body).at("message").at("content"));
  EXPECT_TRUE(json::parse(ask_ollama("json").body).at("message").at("content").get<std::string>().starts_with("{"));
  EXPECT_EQ(ask_ollama({{"type", "nonsense"}}).status, 400);
  EXPECT_EQ(ask_ollama(7).status, 400);
  EXPECT_EQ(ask_ollama("").status, 200);
}

}  // namespace
}  // namespace fovea::serve_tests
