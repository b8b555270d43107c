// What clients may not do, and what the server does instead; clients that leave, wait or hurry.
#include <atomic>
#include <chrono>
#include <mutex>

#include "serve_fixture.h"

namespace fovea::serve_tests {
namespace {

using namespace std::chrono_literals;

// Until it holds, for half a minute at most.
template <typename Condition> bool eventually(const Condition& condition) {
  for (const auto end = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

class ServeLimits : public Serve {
 protected:
  int requests_under_way() { return json::parse(server().get("/ready").body).at("requests"); }
  static json long_stream(int tokens = 450) { return chat("Go on", {{"stream", true}, {"max_tokens", tokens}, {"logit_bias", no_end()}}); }
  // Connections whose streams are asked for.
  std::vector<std::unique_ptr<HttpConnection>> long_streams(int count) {
    std::vector<std::unique_ptr<HttpConnection>> open;
    for (int i = 0; i < count; ++i) {
      open.push_back(std::make_unique<HttpConnection>(server().port()));
      open.back()->post("/v1/chat/completions", long_stream().dump());
    }
    return open;
  }
  int metric(const std::string& series) {
    const std::string metrics = server().get("/metrics").body;
    const size_t at = metrics.find(series);
    return at == std::string::npos ? 0 : std::stoi(metrics.substr(at + series.size()));
  }
  int cancelled_calls() { return metric("fovea_calls_total{finish=\"cancelled\"} "); }
  // So that answers are as long as they may be.
  static json no_end() {
    json bias = json::object();
    for (const int32_t token : model_->end_tokens()) bias[std::to_string(token)] = -100;
    return bias;
  }
  void expect_alive() {
    EXPECT_EQ(server().get("/health").status, 200);
    EXPECT_EQ(server().post("/v1/chat/completions", chat("Still there?", {{"max_tokens", 2}})).status, 200);
  }
  static std::string error_of(const HttpAnswer& answer) { return json::parse(answer.body).at("error").at("message"); }
};

TEST_F(ServeLimits, TooLongHeadersAndBodiesAreRefusedWithTheNumber) {
  ServerOptions options = server_options();
  options.limits.header_bytes = 2048;
  options.limits.body_bytes = 4096;
  serve(options);
  const HttpAnswer header = server().get("/health", "X-Long: " + std::string(5000, 'a') + "\r\n");
  EXPECT_EQ(header.status, 431);
  EXPECT_NE(error_of(header).find("2048"), std::string::npos);
  const HttpAnswer body = server().post("/v1/chat/completions", chat(std::string(5000, 'a')));
  EXPECT_EQ(body.status, 413);
  EXPECT_NE(error_of(body).find("4096"), std::string::npos);
  HttpConnection chunked(server().port());
  chunked.send("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 10; ++i) chunked.send("400\r\n" + std::string(0x400, 'a') + "\r\n");
  EXPECT_EQ(chunked.read().status, 413);
  expect_alive();
}

TEST_F(ServeLimits, ConnectionsThatSayNothingOrHalfARequestAreClosed) {
  ServerOptions options = server_options();
  options.limits.idle_seconds = options.limits.body_seconds = 0.2;
  serve(options);
  HttpConnection silent(server().port()), half_header(server().port()), half_body(server().port());
  half_header.send("GET /health HTTP/1.1\r\nHos");
  half_body.send("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(half_header.ended());
  EXPECT_TRUE(half_body.ended());
  expect_alive();
}

TEST_F(ServeLimits, MoreConnectionsThanMayBeAreToldSo) {
  ServerOptions options = server_options();
  options.limits.connections = 3;
  serve(options);
  std::vector<std::unique_ptr<HttpConnection>> open;
  for (int i = 0; i < 3; ++i) {
    open.push_back(std::make_unique<HttpConnection>(server().port()));
    open.back()->get("/health");
    EXPECT_EQ(open.back()->read().status, 200);
  }
  HttpConnection refused(server().port());
  EXPECT_EQ(refused.read().status, 503);
  open.clear();
  EXPECT_TRUE(eventually([&] { return server().get("/health").status == 200; }));
}

TEST_F(ServeLimits, AFullQueueIsToldAndNotAFailure) {
  ServerOptions options = server_options();
  options.limits.waiting = 0;
  serve(options);
  const auto open = long_streams(12);
  int answered = 0, refused = 0;
  for (const auto& connection : open) {
    const HttpAnswer answer = connection->read();
    if (answer.status == 200) {
      ++answered;
      EXPECT_FALSE(events_of(answer.body).empty());
    } else {
      ++refused;
      EXPECT_EQ(answer.status, 503);
      EXPECT_EQ(answer.headers.at("retry-after"), "1");
      EXPECT_NE(error_of(answer).find("4 requests run and 0 wait"), std::string::npos);
    }
  }
  EXPECT_GE(answered, 4);
  EXPECT_GE(refused, 1);
  expect_alive();
}

TEST_F(ServeLimits, AClientThatLeavesIsNotGeneratedFor) {
  auto streams = long_streams(20);
  EXPECT_TRUE(streams.front()->read_some().starts_with("HTTP/1.1 200"));
  streams.clear();
  EXPECT_TRUE(eventually([&] { return requests_under_way() == 0; }));
  const int cancelled = cancelled_calls();
  EXPECT_GE(cancelled, 1);
  std::vector<std::unique_ptr<HttpConnection>> wholes;
  json body = long_stream();
  body["stream"] = false;
  for (int i = 0; i < 20; ++i) {
    wholes.push_back(std::make_unique<HttpConnection>(server().port()));
    wholes.back()->post("/v1/chat/completions", body.dump());
  }
  EXPECT_TRUE(eventually([&] { return requests_under_way() > 0; }));
  wholes.clear();
  EXPECT_TRUE(eventually([&] { return requests_under_way() == 0; }));
  EXPECT_GT(cancelled_calls(), cancelled);
  expect_alive();
}

TEST_F(ServeLimits, AClientThatDoesNotReadLosesItsConnectionAndNobodyElseTheirs) {
  ServerOptions options = server_options();
  options.limits.unsent_bytes = 256 << 10;
  options.limits.write_seconds = 1000;  // what waits ends it, and not the time
  serve(options);
  json body = long_stream();  // more than the system holds for a connection
  body.update({{"n", 16}, {"logprobs", true}, {"top_logprobs", 20}, {"temperature", 1}});
  std::vector<std::unique_ptr<HttpConnection>> lazy;
  for (int i = 0; i < 2; ++i) {
    lazy.push_back(std::make_unique<HttpConnection>(server().port(), 4096));
    lazy.back()->post("/v1/chat/completions", body.dump());
  }
  expect_alive();
  EXPECT_TRUE(eventually([&] { return metric("fovea_http_requests_total{status=\"499\"} ") == 2; }));  // also if all was generated by then
  for (const auto& connection : lazy) {
    std::string last, piece;
    while (!(piece = connection->read_some()).empty()) last = piece;
    EXPECT_EQ(last.find("[DONE]"), std::string::npos);
  }
  EXPECT_TRUE(eventually([&] { return requests_under_way() == 0; }));
}

TEST_F(ServeLimits, KeysAreAskedForAndComparedWhole) {
  ServerOptions options = server_options();
  options.api_keys = {"first-key", "second-key"};
  serve(options);
  EXPECT_EQ(server().get("/health").status, 200);
  EXPECT_EQ(server().get("/v1/models").status, 401);
  EXPECT_EQ(server().get("/nowhere").status, 401);
  for (const char* wrong : {"first-ke", "first-key1", "first-keyfirst-key", "", "FIRST-KEY"}) {
    const HttpAnswer answer = server().get("/v1/models", std::string("Authorization: Bearer ") + wrong + "\r\n");
    EXPECT_EQ(answer.status, 401) << wrong;
    EXPECT_EQ(answer.body.find("first"), std::string::npos);
  }
  EXPECT_EQ(server().get("/v1/models", "Authorization: Bearer first-key\r\n").status, 200);
  EXPECT_EQ(server().get("/v1/models", "Authorization: bearer  second-key\r\n").status, 200);
  EXPECT_EQ(server().get("/v1/models", "X-Api-Key: second-key\r\n").status, 200);
}

TEST_F(ServeLimits, KeysDoNotSeeEachOthersPromptsUnlessTheyShare) {
  const auto cached = [&](const char* key) {
    const HttpAnswer answer = server().post("/v1/chat/completions", chat("A secret of some length, known to one key only"),
                                            std::string("Authorization: Bearer ") + key + "\r\n");
    return json::parse(answer.body).at("usage").at("prompt_tokens_details").at("cached_tokens").get<int>();
  };
  ServerOptions options = server_options();
  options.api_keys = {"one", "two"};
  serve(options);
  EXPECT_EQ(cached("one"), 0);
  EXPECT_EQ(cached("two"), 0);
  EXPECT_GT(cached("one"), 0);
  end_server();
  options.share_cache = true;
  serve(options);
  EXPECT_EQ(cached("one"), 0);
  EXPECT_GT(cached("two"), 0);
}

TEST_F(ServeLimits, OneKeyMayHaveSoManyRequestsUnderWay) {
  ServerOptions options = server_options();
  options.api_keys = {"one", "two"};
  options.limits.per_key = 4;
  serve(options);
  const std::string one = "Authorization: Bearer one\r\n", two = "Authorization: Bearer two\r\n";
  EXPECT_EQ(server().post("/v1/chat/completions", chat("Hello", {{"n", 5}}), one).status, 429) << "each choice is a request";
  json body = long_stream();
  body["n"] = 4;
  std::unique_ptr<HttpConnection> busy;
  EXPECT_TRUE(eventually([&] {  // on a fast machine the four may be over before another request is there: then once more
    busy = std::make_unique<HttpConnection>(server().port());
    busy->post("/v1/chat/completions", body.dump(), one);
    return busy->read_some().starts_with("HTTP/1.1 200") && server().post("/v1/chat/completions", chat("Hello"), one).status == 429;
  }));
  EXPECT_EQ(server().post("/v1/chat/completions", chat("Hello"), two).status, 200);
  while (!busy->read_some().empty() && requests_under_way() > 0) {
  }
  EXPECT_TRUE(eventually([&] { return server().post("/v1/chat/completions", chat("Hello", {{"n", 4}}), one).status == 200; }));
}

TEST_F(ServeLimits, BodiesOfThoseWhoMayNotAskAreNotRead) {
  ServerOptions options = server_options();
  options.api_keys = {"key"};
  options.cors_origin = "http://app.example";
  options.limits.body_seconds = 0.5;
  serve(options);
  const auto answer_to_head = [&](const std::string& headers) {  // the body never comes
    HttpConnection connection(server().port());
    connection.send("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n" + headers + "\r\n");
    return connection.read();
  };
  EXPECT_EQ(answer_to_head("").status, 401);
  EXPECT_EQ(answer_to_head("Expect: 100-continue\r\nX-Api-Key: kez\r\n").status, 401);
  EXPECT_EQ(answer_to_head("X-Api-Key: key\r\nOrigin: http://evil.example\r\n").status, 403);
  const HttpAnswer page = answer_to_head("Origin: http://app.example\r\n");
  EXPECT_EQ(page.headers.at("access-control-allow-origin"), "http://app.example");
  EXPECT_EQ(json::parse(page.body).at("error").at("type"), "authentication_error");
  EXPECT_EQ(answer_to_head("X-Api-Key: key\r\n").status, 0);
}

TEST_F(ServeLimits, WhatCannotFitIsRefusedBeforeItCosts) {
  const std::string text(4 << 20, 'z');
  for (const auto& [path, body] : std::vector<std::pair<std::string, json>>{{"/v1/chat/completions", chat(text)},
                                                                            {"/v1/completions", {{"model", "tiny"}, {"prompt", text}}},
                                                                            {"/tokenize", {{"content", text}}}}) {
    const HttpAnswer answer = server().post(path, body);
    EXPECT_EQ(answer.status, 400) << path;
    EXPECT_NE(error_of(answer).find("your text of 41943"), std::string::npos) << error_of(answer);
  }
  EXPECT_EQ(server().post("/detokenize", {{"tokens", std::vector<int>(513, 5)}}).status, 400);
  EXPECT_EQ(server().post("/detokenize", {{"tokens", std::vector<int>(512, 5)}}).status, 200);
}

TEST_F(ServeLimits, AWholeReplyHasSoManyLogProbabilities) {
  ServerOptions options = server_options();
  options.limits.choices = 128;
  serve(options);
  json body = chat("Hello", {{"n", 128}, {"max_tokens", 400}, {"logprobs", true}, {"top_logprobs", 20}});
  const HttpAnswer refused = server().post("/v1/chat/completions", body);
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(json::parse(refused.body).at("error").at("param"), "logprobs");
  body["logit_bias"] = no_end();
  body["n"] = 4;
  body["max_tokens"] = nullptr;  // what there is room for is as much as may be
  EXPECT_EQ(ask(body).at("choices").at(3).at("finish_reason"), "length");
}

TEST_F(ServeLimits, PagesOfOtherSitesAreRefusedUnlessNamed) {
  EXPECT_EQ(server().get("/health", "Origin: http://evil.example\r\n").status, 403);
  end_server();
  ServerOptions options = server_options();
  options.cors_origin = "http://app.example";
  serve(options);
  const HttpAnswer named = server().get("/health", "Origin: http://app.example\r\n");
  EXPECT_EQ(named.status, 200);
  EXPECT_EQ(named.headers.at("access-control-allow-origin"), "http://app.example");
  EXPECT_EQ(server().get("/health", "Origin: http://evil.example\r\n").status, 403);
  HttpConnection preflight(server().port());
  preflight.send("OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nOrigin: http://app.example\r\n\r\n");
  EXPECT_EQ(preflight.read(false).status, 204);
}

TEST_F(ServeLimits, WithoutKeysNoSiteReachesTheServerUnderANameOfItsOwn) {
  ServerOptions options = server_options();
  const auto status_for = [&](const std::string& host) {
    HttpConnection connection(server().port());
    connection.send("GET /v1/models HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return connection.read().status;
  };
  for (const char* address : {"127.0.0.1", "0.0.0.0"}) {
    options.address = address;
    serve(options);
    for (const char* good : {"localhost", "localhost:80", "127.0.0.1:80", "192.168.1.2", "[::1]:80", "[fe80::1]"})
      EXPECT_EQ(status_for(good), 200) << good;
    for (const char* bad :
         {"evil.example", "127.evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "[evil.example", ":80"}) {
      EXPECT_EQ(status_for(bad), 403) << bad;
    }
    end_server();
  }
  options.api_keys = {"key"};
  serve(options);
  EXPECT_EQ(status_for("models.example"), 401);
}

TEST_F(ServeLimits, RequestsMayFollowEachOtherWithoutWaiting) {
  HttpConnection connection(server().port());
  for (int i = 0; i < 5; ++i) connection.post("/tokenize", json({{"content", "Number " + std::to_string(i)}}).dump());
  connection.get("/nowhere");
  for (int i = 0; i < 5; ++i) {
    const HttpAnswer answer = connection.read();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(json::parse(answer.body).at("tokens").get<std::vector<int32_t>>(),
              model_->tokenize("Number " + std::to_string(i), false, true));
  }
  EXPECT_EQ(connection.read().status, 404);
}

TEST_F(ServeLimits, OlderAndCautiousClientsAreServed) {
  HttpConnection cautious(server().port());
  const std::string body = json({{"content", "x"}}).dump();
  cautious.send("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n");
  EXPECT_EQ(cautious.read().status, 100);
  cautious.send(body);
  EXPECT_EQ(cautious.read().status, 200);
  HttpConnection old(server().port());
  const std::string stream = chat("Hello", {{"stream", true}}).dump();
  old.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: " + std::to_string(stream.size()) + "\r\n\r\n" + stream);
  const HttpAnswer answer = old.read();
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.headers.contains("transfer-encoding"));
  EXPECT_FALSE(events_of(answer.body).empty());
  HttpConnection head(server().port());
  head.send("HEAD /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(head.read(false).status, 200);
  EXPECT_EQ(server().get("/v1/chat/completions").status, 405);
}

TEST_F(ServeLimits, DrainingAnswersWhatIsUnderWayAndNothingNew) {
  HttpConnection busy(server().port()), idle(server().port());
  busy.post("/v1/chat/completions", long_stream(300).dump());
  const std::string beginning = busy.read_some();
  EXPECT_TRUE(beginning.starts_with("HTTP/1.1 200")) << beginning;
  server().stop();
  std::string rest;
  for (std::string piece; !(piece = busy.read_some()).empty();) rest += piece;
  EXPECT_NE(rest.find("data: [DONE]"), std::string::npos);
  EXPECT_TRUE(idle.ended());
}

TEST_F(ServeLimits, DrainingEndsInTime) {
  ServerOptions options = server_options();
  options.limits.drain_seconds = 0;
  serve(options);
  const auto open = long_streams(8);
  open.front()->read_some();
  end_server();  // returns, and nothing is left behind (AddressSanitizer)
}

TEST_F(ServeLimits, MetricsCountWhatHappened) {
  server().post("/v1/chat/completions", chat("Count me"));
  server().get("/nowhere");
  const std::string metrics = server().get("/metrics").body;
  EXPECT_NE(metrics.find("fovea_calls_total{finish=\"length\"} 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("fovea_http_requests_total{status=\"404\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("fovea_generated_tokens_total 24\n"), std::string::npos);
  EXPECT_NE(metrics.find("fovea_first_token_seconds_count 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("fovea_reuse_total{reason=\"unknown\"} 1\n"), std::string::npos);
}

TEST_F(ServeLimits, LogsHoldNothingOfPromptsOrAnswers) {
  std::string log;
  std::mutex mutex;
  ServerOptions options = server_options();
  options.log = [&](std::string_view line) {
    const std::lock_guard lock(mutex);
    log += std::string(line) + "\n";
    EXPECT_TRUE(json::parse(line).is_object());
  };
  serve(options);
  const std::string answer = answer_to(chat("xyzzy plugh"));
  server().post("/v1/chat/completions", chat("xyzzy", {{"plugh", 1}}));
  end_server();
  EXPECT_NE(log.find("\"event\":\"call\""), std::string::npos);
  EXPECT_EQ(log.find("xyzzy"), std::string::npos);
  EXPECT_EQ(log.find("plugh"), std::string::npos);
  EXPECT_TRUE(answer.size() < 8 || log.find(answer.substr(0, 8)) == std::string::npos);
}

TEST_F(ServeLimits, ASaltHasABound) {
  EXPECT_EQ(server().post("/v1/chat/completions", chat("Hi", {{"cache_salt", std::string(257, 'x')}})).status, 400);
  EXPECT_EQ(server().post("/v1/chat/completions", chat("Hi", {{"cache_salt", std::string(256, 'x')}})).status, 200);
}

TEST_F(ServeLimits, ResultsOfToolsAreMessages) {
  json blocks = json::array();
  for (int i = 0; i < 5000; ++i) blocks.push_back({{"type", "tool_result"}, {"tool_use_id", "x"}});
  const json body = {{"model", "tiny"}, {"max_tokens", 1}, {"messages", {{{"role", "user"}, {"content", blocks}}}}};
  EXPECT_EQ(server().post("/v1/messages", body).status, 400);
}

}  // namespace
}  // namespace fovea::serve_tests
