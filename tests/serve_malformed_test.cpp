// Ten thousand requests that are broken in some way, over real sockets: the server goes on, answers right, and has lost nothing.
#include <chrono>
#include <random>

#include "serve_fixture.h"
#include "support/own_process.h"

namespace fovea::serve_tests {
namespace {

using namespace std::chrono_literals;
using testing_support::open_descriptors;
using testing_support::running_threads;

constexpr int kOfEachKind = testing_support::kSanitized ? 200 : 2000;

class ServeMalformed : public Serve {
 protected:
  void SetUp() override {
    ServerOptions options = server_options();
    options.limits.output_tokens = 2;
    options.limits.idle_seconds = options.limits.body_seconds = 1;
    serve(options);
    right_ = answer_to(good_question());
    descriptors_ = open_descriptors();
    threads_ = running_threads();
  }
  void TearDown() override {
    kept_.reset();
    EXPECT_EQ(answer_to(good_question()), right_);
    EXPECT_TRUE(eventually([&] { return json::parse(server().get("/ready").body).at("requests") == 0; }));
    EXPECT_TRUE(eventually([&] { return open_descriptors() <= descriptors_; })) << open_descriptors() << " of " << descriptors_;
    EXPECT_EQ(running_threads(), threads_);
    Serve::TearDown();
  }

  template <typename Condition> static bool eventually(const Condition& condition) {
    for (const auto end = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < end;) {
      if (condition()) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }
  static json good_question() { return chat("Is anybody there?", {{"max_tokens", 2}}); }

  size_t pick(size_t below) { return static_cast<size_t>(random_() % below); }
  std::string mutated(std::string text) {
    for (size_t i = 0, changes = 1 + pick(6); i < changes && !text.empty(); ++i) {
      const size_t at = pick(text.size());
      switch (pick(5)) {
        case 0:
          text[at] = static_cast<char>(random_());
          break;
        case 1:
          text.erase(at, 1 + pick(8));
          break;
        case 2:
          text.insert(at, text.substr(pick(text.size()), pick(16)));
          break;
        case 3:
          text.insert(at, std::string(1 + pick(200), "[{\"\\\xff"[pick(5)]));
          break;
        default:
          text.resize(at);
      }
    }
    return text;
  }
  std::string body() {
    switch (pick(3)) {
      case 0:
        return chat("Hello \u00e9", {{"max_tokens", 2}, {"stop", {"x"}}, {"stream", true}, {"n", 2}, {"logprobs", true}}).dump();
      case 1:
        return chat("Hi", {{"max_tokens", 1}, {"tool_choice", "auto"}, {"tools", {{{"type", "function"}, {"function", {{"name", "f"}}}}}}})
            .dump();
      default:
        return json{{"model", "tiny"}, {"input", "Hi"},   {"content", "Hi"},
                    {"prompt", "Hi"},  {"max_tokens", 1}, {"messages", {{{"role", "user"}, {"content", "a"}}}}}
            .dump();
    }
  }
  std::string path() {
    static constexpr const char* kPaths[] = {
        "/v1/chat/completions", "/v1/completions", "/v1/responses",  "/v1/messages", "/api/chat", "/api/generate", "/tokenize",
        "/detokenize",          "/apply-template", "/v1/embeddings", "/page/plan"};
    return kPaths[pick(std::size(kPaths))];
  }
  std::string head(const std::string& length) {
    return "POST " + path() + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + length + "\r\n";
  }
  std::string request(const std::string& body) { return head("Content-Length: " + std::to_string(body.size()) + "\r\n") + body; }

  // Of bytes that may be no request at all: all that comes back, until the connection ends.
  void talk(const std::string& bytes) {
    HttpConnection connection(server().port());
    connection.send(bytes);
    connection.finish_sending();
    const std::string first = connection.read_some();
    answered_ += !first.empty();
    EXPECT_TRUE(first.empty() || first.starts_with("HTTP/1.1 ") || first.starts_with("HTTP/1.0 ")) << first.substr(0, 100);
    for (int i = 0; i < 1000 && !connection.read_some().empty(); ++i) {
    }
  }
  // On a connection that stays, a well-formed request with this body.
  void ask(const std::string& body) {
    if (!kept_) kept_ = std::make_unique<HttpConnection>(server().port());
    kept_->post(path(), body);
    const HttpAnswer answer = kept_->read();
    EXPECT_TRUE(answer.status == 200 || answer.status == 400 || answer.status == 404) << answer.status << ": " << answer.body;
    EXPECT_TRUE(answer.status == 200 || json::parse(answer.body).contains("error") || json::parse(answer.body).contains("type"))
        << answer.body;
    if (answer.status == 0) kept_.reset();
    else ++answered_;
  }

  std::mt19937 random_{1};
  int answered_ = 0;

 private:
  std::string right_;
  int descriptors_ = 0, threads_ = 0;
  std::unique_ptr<HttpConnection> kept_;
};

TEST_F(ServeMalformed, BodiesThatAreNoJsonAreRefused) {
  for (int i = 0; i < kOfEachKind; ++i) ask(mutated(body()));
  EXPECT_EQ(answered_, kOfEachKind);
}

TEST_F(ServeMalformed, TextThatIsNoUtf8IsRefused) {
  static const std::string kBroken[] = {
      "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80", "\x80", std::string(1, '\0')};
  for (int i = 0; i < kOfEachKind; ++i) {
    std::string text = body();
    for (size_t n = 1 + pick(3); n > 0; --n) text.insert(pick(text.size()), kBroken[pick(std::size(kBroken))]);
    ask(text);
  }
  EXPECT_EQ(answered_, kOfEachKind);
}

TEST_F(ServeMalformed, BrokenHeadersCostTheirConnection) {
  for (int i = 0; i < kOfEachKind; ++i) {
    const std::string content = body();
    talk(mutated(head("Content-Length: " + std::to_string(pick(4) ? content.size() : pick(100'000)) + "\r\n")) + content);
  }
  EXPECT_GT(answered_, kOfEachKind / 4);
}

TEST_F(ServeMalformed, BrokenChunksCostTheirConnection) {
  static const std::string kSizes[] = {"zz", "-1", "ffffffffffffffff", "10000000000000000", "5;", "5;a=\"", " 5", "", "0x5"};
  for (int i = 0; i < kOfEachKind; ++i) {
    const std::string content = body();
    std::string chunks;
    for (size_t at = 0, size; at < content.size(); at += size) {
      size = 1 + pick(content.size() / 2);
      const std::string piece = content.substr(at, size);
      char digits[16];
      std::snprintf(digits, sizeof digits, "%zx", pick(12) ? piece.size() : pick(999));
      chunks +=
          (pick(12) ? digits : kSizes[pick(std::size(kSizes))]) + std::string(pick(16) ? "\r\n" : "\n") + piece + (pick(16) ? "\r\n" : "");
    }
    const std::string request = head("Transfer-Encoding: chunked\r\n") + chunks + "0\r\n\r\n";
    talk(pick(2) ? request : mutated(request));
  }
  EXPECT_GT(answered_, kOfEachKind / 4);
}

TEST_F(ServeMalformed, BrokenPipelinesCostTheirConnection) {
  for (int i = 0; i < kOfEachKind; ++i) {
    std::string pipeline;
    for (size_t n = 2 + pick(3); n > 0; --n) pipeline += pick(3) ? request(body()) : mutated(request(mutated(body())));
    talk(pick(3) ? pipeline : pipeline.substr(0, pick(pipeline.size())));
  }
  EXPECT_GT(answered_, kOfEachKind / 4);
}

}  // namespace
}  // namespace fovea::serve_tests
