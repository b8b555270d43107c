// OpenAI's routes, as clients see them: on a tiny model, over sockets.
#include <atomic>
#include <cmath>

#include "serve_fixture.h"

namespace fovea::serve_tests {
namespace {

TEST_F(Serve, TellsWhichModelItHas) {
  const json list = json::parse(server().get("/v1/models").body);
  EXPECT_EQ(list.at("data").at(0).at("id"), "tiny");
  EXPECT_EQ(list.at("data").at(0).at("max_model_len"), 512);
  EXPECT_EQ(json::parse(server().get("/v1/models/tiny").body).at("id"), "tiny");
  EXPECT_EQ(server().get("/v1/models/other").status, 404);
}

TEST_F(Serve, AnAnswerIsTheSameWholeAndInPieces) {
  const json body = chat("Tell me of the sea.");
  const json whole = ask(body);
  EXPECT_EQ(whole.at("object"), "chat.completion");
  EXPECT_EQ(whole.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(whole.at("usage").at("completion_tokens"), 24);
  json streamed = body;
  streamed["stream"] = true;
  streamed["stream_options"] = {{"include_usage", true}};
  const HttpAnswer answer = server().post("/v1/chat/completions", streamed);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.headers.at("content-type").starts_with("text/event-stream"));
  const std::vector<json> events = events_of(answer.body);
  EXPECT_EQ(text_of({events.begin(), events.end() - 1}), whole.at("choices").at(0).at("message").at("content"));
  EXPECT_EQ(events.front().at("choices").at(0).at("delta").at("role"), "assistant");
  EXPECT_EQ(events[events.size() - 2].at("choices").at(0).at("finish_reason"), "length");
  EXPECT_TRUE(events.back().at("choices").empty());
  EXPECT_EQ(events.back().at("usage").at("completion_tokens"), 24);
}

TEST_F(Serve, AnAnswerIsWhatTheEngineGenerates) {
  const std::string prompt = model_->render_chat({{"user", "Hello there"}});
  Engine engine(model_, engine_options());
  Request request;
  request.prompt = model_->tokenize(prompt, false, true);
  if (model_->bos() && request.prompt.front() != *model_->bos()) request.prompt = model_->tokenize(prompt, true, true);
  request.max_tokens = 24;
  request.stop_tokens = model_->end_tokens();
  Model::TextStream text(model_);
  std::string expected;
  engine.generate(request, [&](int32_t token) {
    expected += text.push(token);
    return true;
  });
  expected += text.finish();
  const json answer = ask(chat("Hello there"));
  EXPECT_EQ(answer.at("choices").at(0).at("message").at("content"), expected);
  EXPECT_EQ(answer.at("usage").at("prompt_tokens"), request.prompt.size());
}

TEST_F(Serve, AnAnswerIsTheSameAloneAndAmongOthers) {
  std::vector<json> bodies;
  for (int i = 0; i < 8; ++i) {
    json body = chat("Question " + std::to_string(i) + std::string(static_cast<size_t>(20 * i), 'x'), {{"max_tokens", 10 + 5 * i}});
    if (i % 2) body.update({{"temperature", 1.0}, {"seed", i}, {"top_p", 0.9}});
    bodies.push_back(body);
  }
  std::vector<std::string> alone;
  for (const json& body : bodies) alone.push_back(answer_to(body));
  end_server();
  server();
  std::vector<std::string> together(bodies.size());
  std::vector<std::thread> clients;
  for (size_t i = 0; i < bodies.size(); ++i) clients.emplace_back([&, i] { together[i] = answer_to(bodies[i]); });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(together, alone);
}

TEST_F(Serve, StopStringsAreNeverShownWhereverTokensEnd) {
  const std::string text = answer_to(chat("Once upon a time", {{"max_tokens", 60}}));
  ASSERT_GT(text.size(), 30u);
  for (size_t at = 3; at + 7 < text.size(); at += 5) {
    for (const size_t length : {size_t{1}, size_t{4}, size_t{7}}) {
      const std::string stop = text.substr(at, length);
      if (json(stop).dump(-1, ' ', false, json::error_handler_t::ignore) != json(stop).dump(-1, ' ', false, json::error_handler_t::replace))
        continue;
      json body = chat("Once upon a time", {{"max_tokens", 60}, {"stop", {stop, "never said"}}});
      const json whole = ask(body);
      EXPECT_EQ(whole.at("choices").at(0).at("message").at("content"), text.substr(0, text.find(stop))) << stop;
      EXPECT_EQ(whole.at("choices").at(0).at("finish_reason"), "stop");
      body["stream"] = true;
      EXPECT_EQ(text_of(events_of(server().post("/v1/chat/completions", body).body)), text.substr(0, text.find(stop)));
    }
  }
}

TEST_F(Serve, ChoicesAreThoseOfTheirSeeds) {
  const json wanted = {{"temperature", 1.2}, {"seed", 5}};
  json several = chat("Name a colour", wanted);
  several["n"] = 3;
  const json answer = ask(several);
  ASSERT_EQ(answer.at("choices").size(), 3u);
  int generated = 0;
  for (int i = 0; i < 3; ++i) {
    json single = chat("Name a colour", wanted);
    single["seed"] = 5 + i;
    EXPECT_EQ(answer.at("choices").at(static_cast<size_t>(i)).at("message").at("content"), answer_to(single));
    generated += 24;
  }
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), generated);
  several["stream"] = true;
  const std::vector<json> events = events_of(server().post("/v1/chat/completions", several).body);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(text_of(events, i), answer.at("choices").at(static_cast<size_t>(i)).at("message").at("content"));
  }
}

TEST_F(Serve, LogprobsGoWithTheTokensOfTheText) {
  const json answer = ask(chat("Count to ten", {{"logprobs", true}, {"top_logprobs", 4}}));
  const json& content = answer.at("choices").at(0).at("logprobs").at("content");
  ASSERT_EQ(content.size(), 24u);
  std::string bytes;
  for (const json& token : content) {
    for (const json& byte : token.at("bytes")) bytes += static_cast<char>(byte.get<int>());
    ASSERT_EQ(token.at("top_logprobs").size(), 4u);
    EXPECT_FLOAT_EQ(token.at("logprob").get<float>(), token.at("top_logprobs").at(0).at("logprob").get<float>()) << "greedy";
    EXPECT_LE(token.at("logprob").get<float>(), 0);
  }
  const std::string text = answer.at("choices").at(0).at("message").at("content");
  EXPECT_TRUE(bytes == text || text.find("\xef\xbf\xbd") != std::string::npos) << text;
  const json completion =
      json::parse(server().post("/v1/completions", {{"model", "tiny"}, {"prompt", "ab"}, {"logprobs", 2}, {"temperature", 0}}).body);
  const json& older = completion.at("choices").at(0).at("logprobs");
  EXPECT_EQ(older.at("tokens").size(), 16u);
  EXPECT_EQ(older.at("token_logprobs").size(), 16u);
  EXPECT_EQ(older.at("text_offset").at(0), 0);
}

TEST_F(Serve, CompletionsContinueTextsAndTokens) {
  const std::vector<int32_t> tokens = model_->tokenize("The sea at night", true, true);
  const auto text_at = [&](const json& body) {
    return json::parse(server().post("/v1/completions", body).body).at("choices").at(0).at("text").get<std::string>();
  };
  const json common = {{"model", "tiny"}, {"temperature", 0}, {"max_tokens", 12}};
  json by_text = common, by_tokens = common, echoing = common, two = common;
  by_text["prompt"] = "The sea at night";
  by_tokens["prompt"] = tokens;
  EXPECT_EQ(text_at(by_text), text_at(by_tokens));
  echoing["prompt"] = "The sea at night";
  echoing["echo"] = true;
  EXPECT_EQ(text_at(echoing), "The sea at night" + text_at(by_text));
  two["prompt"] = {"The sea at night", "Another"};
  const json both = json::parse(server().post("/v1/completions", two).body);
  ASSERT_EQ(both.at("choices").size(), 2u);
  EXPECT_EQ(both.at("choices").at(0).at("text"), text_at(by_text));
  by_text["stream"] = true;
  std::string streamed;
  for (const json& event : events_of(server().post("/v1/completions", by_text).body)) streamed += event.at("choices").at(0).at("text");
  EXPECT_EQ(streamed, both.at("choices").at(0).at("text"));
}

TEST_F(Serve, UsageAndAHeaderTellWhatWasReusedAndWhyNotMore) {
  const std::string question = std::string(100, 'q') + " and so on";
  const HttpAnswer cold = server().post("/v1/chat/completions", chat(question));
  EXPECT_EQ(json::parse(cold.body).at("usage").at("prompt_tokens_details").at("cached_tokens"), 0);
  EXPECT_NE(cold.headers.at("x-fovea-cache").find("reused=0;"), std::string::npos);
  const HttpAnswer warm = server().post("/v1/chat/completions", chat(question));
  const json usage = json::parse(warm.body).at("usage");
  const int prompt = usage.at("prompt_tokens"), cached = usage.at("prompt_tokens_details").at("cached_tokens");
  EXPECT_EQ(cached, prompt - 1);
  EXPECT_EQ(warm.headers.at("x-fovea-cache"),
            "reused=" + std::to_string(cached) + "; of=" + std::to_string(prompt) + "; reason=none; at=" + std::to_string(cached));
  const HttpAnswer other = server().post("/v1/chat/completions", chat(std::string(60, 'q') + " something else"));
  EXPECT_NE(other.headers.at("x-fovea-cache").find("reason=differs"), std::string::npos);
}

TEST_F(Serve, BiasAndPenaltiesReachTheSampler) {
  const std::string plain = answer_to(chat("Say something"));
  EXPECT_EQ(answer_to(chat("Say something", {{"logit_bias", json::object()}, {"presence_penalty", 0}})), plain);
  const auto first_token = [&](const json& bias) {
    const json answer = ask(chat("Say something", {{"logprobs", true}, {"logit_bias", bias}}));
    return answer.at("choices").at(0).at("logprobs").at("content").at(0).at("bytes");
  };
  const json first = first_token(json::object());
  const auto is_first = [&](int32_t token) {
    json bytes = json::array();
    for (const char c : token_text(token)) bytes.push_back(static_cast<unsigned char>(c));
    return bytes == first;
  };
  json bias = json::object();
  for (int32_t token = 0; token < model_->facts().vocabulary; ++token) {
    if (is_first(token)) bias[std::to_string(token)] = -100;
  }
  EXPECT_FALSE(bias.empty());
  EXPECT_NE(first_token(bias), first);
  EXPECT_NE(answer_to(chat("Say something", {{"frequency_penalty", 2}, {"repetition_penalty", 1.8}, {"max_tokens", 100}})),
            answer_to(chat("Say something", {{"max_tokens", 100}})));
}

struct Wrong {
  json changes;
  const char* param;
  const char* code;
};

TEST_F(Serve, WrongFieldsAreRefusedAsOpenAiRefusesThem) {
  const std::vector<Wrong> all = {
      {{{"temperature", "hot"}}, "temperature", "invalid_type"},
      {{{"temperature", 2.5}}, "temperature", "decimal_above_max_value"},
      {{{"temperature", -1}}, "temperature", "decimal_below_min_value"},
      {{{"top_p", 1.5}}, "top_p", "decimal_above_max_value"},
      {{{"n", 0}}, "n", "integer_below_min_value"},
      {{{"n", 1.5}}, "n", "invalid_type"},
      {{{"n", 1e300}}, "n", "integer_above_max_value"},
      {{{"max_tokens", 0}}, "max_tokens", "integer_below_min_value"},
      {{{"max_tokens", 5000}}, "messages", "context_length_exceeded"},
      {{{"stream", "yes"}}, "stream", "invalid_type"},
      {{{"stream_options", {{"include_usage", true}}}}, "stream_options", nullptr},
      {{{"stop", {"a", "b", "c", "d", "e"}}}, "stop", "array_above_max_length"},
      {{{"stop", ""}}, "stop", "invalid_value"},
      {{{"stop", 5}}, "stop", "invalid_type"},
      {{{"logit_bias", {{"x", 1}}}}, "logit_bias", nullptr},
      {{{"logit_bias", {{"99999", 1}}}}, "logit_bias", nullptr},
      {{{"logit_bias", {{"5", 101}}}}, "logit_bias", nullptr},
      {{{"top_logprobs", 3}}, "top_logprobs", nullptr},
      {{{"logprobs", true}, {"top_logprobs", 21}}, "top_logprobs", "integer_above_max_value"},
      {{{"frequency_penalty", 3}}, "frequency_penalty", "decimal_above_max_value"},
      {{{"seed", "x"}}, "seed", "invalid_type"},
      {{{"seed", 9223372036854775808.0}}, "seed", "integer_above_max_value"},
      {{{"seed", 9223372036854775808u}}, "seed", "integer_above_max_value"},
      {{{"seed", -1e19}}, "seed", "integer_below_min_value"},
      {{{"messages", json::array()}}, "messages", "empty_array"},
      {{{"messages", nullptr}}, "messages", "missing_required_parameter"},
      {{{"messages", "Hello"}}, "messages", "invalid_type"},
      {{{"messages", {"Hello"}}}, "messages[0]", "invalid_type"},
      {{{"messages", {{{"role", "king"}, {"content", "x"}}}}}, "messages[0].role", "invalid_value"},
      {{{"messages", {{{"content", "x"}}}}}, "messages[0].role", "missing_required_parameter"},
      {{{"messages", {{{"role", "user"}}}}}, "messages[0].content", "missing_required_parameter"},
      {{{"messages", {{{"role", "user"}, {"content", 5}}}}}, "messages[0].content", "invalid_type"},
      {{{"messages", {{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}}}}, "messages[0].content[0].type", "invalid_value"},
      {{{"messages", {{{"role", "user"}, {"content", "x"}, {"colour", 1}}}}}, "messages[0].colour", "unknown_parameter"},
      {{{"colour", "red"}}, "colour", "unknown_parameter"},
      {{{"audio", {{"voice", "x"}}}}, "audio", "unsupported_parameter"},
      {{{"model", nullptr}}, "model", "missing_required_parameter"},
      {{{"model", 7}}, "model", "invalid_type"},
  };
  for (const Wrong& wrong : all) {
    const HttpAnswer answer = server().post("/v1/chat/completions", chat("Hello", wrong.changes));
    SCOPED_TRACE(wrong.changes.dump() + " -> " + answer.body);
    EXPECT_EQ(answer.status, 400);
    const json error = json::parse(answer.body).at("error");
    EXPECT_EQ(error.at("type"), "invalid_request_error");
    EXPECT_EQ(error.at("param"), wrong.param);
    EXPECT_EQ(error.at("code"), wrong.code ? json(wrong.code) : json());
  }
  EXPECT_EQ(server().post("/v1/chat/completions", chat("Hello", {{"seed", INT64_MAX}})).status, 200);
  const HttpAnswer unknown = server().post("/v1/chat/completions", chat("Hello", {{"model", "/etc/passwd"}}));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(json::parse(unknown.body).at("error").at("code"), "model_not_found");
}

TEST_F(Serve, WhatNeverFitsIsRefusedWithTheNumbers) {
  const HttpAnswer answer = server().post("/v1/chat/completions", chat(std::string(3000, 'z')));
  EXPECT_EQ(answer.status, 400);
  const std::string message = json::parse(answer.body).at("error").at("message");
  EXPECT_NE(message.find("maximum context length is 512 tokens"), std::string::npos) << message;
}

TEST_F(Serve, TextAndTokensGoBothWays) {
  const std::string text = "Grüße, <b>world</b> 😀";
  const json tokens = json::parse(server().post("/tokenize", {{"content", text}}).body);
  EXPECT_EQ(tokens.at("count"), tokens.at("tokens").size());
  EXPECT_EQ(json::parse(server().post("/detokenize", {{"tokens", tokens.at("tokens")}}).body).at("content"), text);
  EXPECT_EQ(server().post("/detokenize", {{"tokens", {-1}}}).status, 400);
  EXPECT_EQ(server().post("/detokenize", {{"tokens", {1e18}}}).status, 400);
  const json prompt = json::parse(server().post("/apply-template", {{"messages", {{{"role", "user"}, {"content", "Hi"}}}}}).body);
  EXPECT_EQ(prompt.at("prompt"), model_->render_chat({{"user", "Hi"}}));
}

}  // namespace
}  // namespace fovea::serve_tests
