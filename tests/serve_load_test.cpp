// Many clients at once: of mixed lengths, in a hurry, slow, and some that leave. Also under ThreadSanitizer.
#include <atomic>
#include <chrono>

#include "serve_fixture.h"
#include "support/own_process.h"

namespace fovea::serve_tests {
namespace {

using namespace std::chrono_literals;
using testing_support::open_descriptors;
using testing_support::running_threads;

constexpr int kClients = testing_support::kSanitized ? 16 : 64, kTurns = testing_support::kSanitized ? 4 : 12, kQuestions = 9;

class ServeLoad : public Serve {
 protected:
  static json question(int i) {
    std::string text = "Question " + std::to_string(i % 3) + ".";
    for (int word = 0; word < i * 6; ++word) text += " and " + std::to_string(word * i);
    return chat(text, {{"max_tokens", 1 + i * 5}, {"n", i % 4 == 3 ? 2 : 1}});
  }
  static std::string text_of_whole(const std::string& body) {
    const json answer = json::parse(body);
    std::string text;
    for (const json& choice : answer.at("choices")) text += choice.at("message").at("content").get<std::string>() + "|";
    return text;
  }
  static std::string text_of_stream(const std::string& body, int choices) {
    const std::vector<json> events = events_of(body);
    std::string text;
    for (int i = 0; i < choices; ++i) text += text_of(events, i) + "|";
    return text;
  }

  // One request, read as this kind of client does. False: refused, as announced.
  bool ask(int kind, const json& question, const std::string& expected) {
    HttpConnection connection(server().port(), kind == 2 ? 2048 : 0);
    json body = question;
    body["stream"] = kind != 0;
    connection.post("/v1/chat/completions", body.dump());
    if (kind == 3) {  // leaves
      connection.read_some();
      return true;
    }
    if (kind == 2) std::this_thread::sleep_for(30ms);
    const HttpAnswer answer = connection.read();
    if (answer.status == 503) {
      EXPECT_TRUE(answer.headers.contains("retry-after"));
      return false;
    }
    EXPECT_EQ(answer.status, 200) << answer.body;
    if (answer.status != 200) return true;
    EXPECT_EQ(kind == 0 ? text_of_whole(answer.body) : text_of_stream(answer.body, body.at("n")), expected);
    return true;
  }
};

TEST_F(ServeLoad, ManyClientsGetWhatEachWouldGetAloneAndNothingIsLeftBehind) {
  std::vector<std::string> alone;
  for (int i = 0; i < kQuestions; ++i) {
    serve(server_options());  // with nothing in the cache
    alone.push_back(text_of_whole(server().post("/v1/chat/completions", question(i)).body));
  }
  ServerOptions options = server_options();
  options.limits.waiting = kClients / 2;
  serve(options);
  EXPECT_EQ(server().get("/health").status, 200);
  const int descriptors = open_descriptors(), threads = running_threads();
  std::atomic<int> answered = 0, refused = 0;
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int turn = 0; turn < kTurns; ++turn) {
        const int number = client * 7 + turn * 5, i = number % kQuestions;
        (ask(number / kQuestions % 4, question(i), alone[static_cast<size_t>(i)]) ? answered : refused)++;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered + refused, kClients * kTurns);
  EXPECT_GT(answered, kClients);
  const auto all_quiet = [&] { return json::parse(server().get("/ready").body).at("requests") == 0 && open_descriptors() <= descriptors; };
  for (int i = 0; i < 500 && !all_quiet(); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_LE(open_descriptors(), descriptors);
  EXPECT_EQ(running_threads(), threads);
  EXPECT_EQ(text_of_whole(server().post("/v1/chat/completions", question(8)).body), alone[8]);
}

}  // namespace
}  // namespace fovea::serve_tests
