// fovea serve as users start and end it.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <regex>
#include <thread>
#include <vector>

#include "cli_fixture.h"
#include "support/http_client.h"

namespace fovea::cli_tests {
namespace {

using testing_support::HttpConnection;

// The program, listening on a port of its own.
class Serving {
 public:
  explicit Serving(Arguments arguments) {
    arguments.insert(arguments.end(), {"--port", "0", "-c", "256", "-t", "1"});
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = open((folder_ / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const int error = open((folder_ / "error").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    child_ = start(arguments, in, out, error);
    for (const int descriptor : {in, out, error}) close(descriptor);
    const std::regex line("at http://127.0.0.1:([0-9]+)\n");
    std::smatch found;
    for (int i = 0; i < 3000 && port_ == 0; ++i) {
      const std::string said = log();
      if (std::regex_search(said, found, line)) port_ = std::stoi(found[1]);
      else std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  ~Serving() {
    if (child_ > 0) kill(child_, SIGKILL), wait_for(child_);
  }

  int port() const { return port_; }
  std::string log() const { return read_file(folder_ / "error"); }
  void signal(int number) const { kill(child_, number); }
  int wait() { return wait_for(std::exchange(child_, 0)); }

 private:
  TemporaryFolder folder_;
  pid_t child_ = 0;
  int port_ = 0;
};

const std::string kStream =
    R"({"model":"tiny","messages":[{"role":"user","content":"Hi"}],"max_tokens":200,"stream":true,"temperature":0})";

TEST_F(Cli, ServeAnswersUntilItIsToldToEndAndThenWhatIsUnderWay) {
  Serving server({"serve", "-m", model(), "--name", "tiny"});
  ASSERT_GT(server.port(), 0) << server.log();
  HttpConnection client(server.port());
  ASSERT_TRUE(client.post("/v1/chat/completions", kStream));
  std::string text = client.read_some();
  server.signal(SIGTERM);
  for (std::string piece; !(piece = client.read_some()).empty();) text += piece;
  EXPECT_TRUE(has(text, "data: [DONE]")) << text.substr(0, 400);
  EXPECT_EQ(server.wait(), 0);
  EXPECT_TRUE(has(server.log(), "\"event\":\"call\"")) << server.log();
}

TEST_F(Cli, ServeEndsAtOnceWhenItIsToldTwice) {
  Serving server({"serve", "-m", model(), "--name", "tiny"});
  // One after the other on each connection, so that there is more to answer than a moment is enough for.
  std::vector<std::unique_ptr<HttpConnection>> busy;
  for (int i = 0; i < 8; ++i) {
    busy.push_back(std::make_unique<HttpConnection>(server.port()));
    for (int k = 0; k < 16; ++k) busy.back()->post("/v1/chat/completions", kStream);
  }
  for (const auto& connection : busy) EXPECT_TRUE(connection->read_some().starts_with("HTTP/1.1 200"));
  server.signal(SIGINT);
  for (int i = 0; i < 3000 && !has(server.log(), "\"draining\""); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  server.signal(SIGINT);
  EXPECT_EQ(server.wait(), 128 + SIGINT);
}

TEST_F(Cli, ServeOffersSeveralModelsAndLoadsThemWhenTheyAreAskedFor) {
  Serving server({"serve", "-m", model(), "-m", model(), "--name", "one", "--name", "two", "--memory", "1GiB", "--keep-alive", "600"});
  ASSERT_GT(server.port(), 0) << server.log();
  EXPECT_TRUE(has(server.log(), "loaded when they are asked for, within 1.00 GiB, at http://") ||
              has(server.log(), "within 1024 MiB, at http://"))
      << server.log();
  for (const char* name : {"one", "two"}) {
    EXPECT_FALSE(has(server.log(), "\"event\":\"loaded\",\"model\":\"" + std::string(name))) << server.log();
    HttpConnection client(server.port());
    client.post("/v1/completions", "{\"model\": \"" + std::string(name) + "\", \"prompt\": \"x\", \"max_tokens\": 2}");
    EXPECT_EQ(client.read().status, 200);
    EXPECT_TRUE(has(server.log(), "\"event\":\"loaded\",\"model\":\"" + std::string(name))) << server.log();
  }
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
  expect_failure(run({"serve", "-m", model(), "-m", model()}), "two models are called");
  expect_failure(run({"serve", "-m", model(), "-m", model(), "--name", "one"}), "--name");
  expect_failure(run({"serve", "-m", model(), "-m", model(), "--name", "one", "--name", "two", "--memory", "1MB"}), "are free");
}

class ServeKeys : public Cli {
 protected:
  ~ServeKeys() override { unsetenv("FOVEA_API_KEYS"); }
};

TEST_F(ServeKeys, AVariableThatHoldsNoKeyIsAnErrorAndNotAnOpenServer) {
  for (const char* none : {",", " ", " ,\t,"}) {
    setenv("FOVEA_API_KEYS", none, 1);
    expect_failure(run({"serve", "-m", model(), "--port", "0"}), "FOVEA_API_KEYS");
  }
}

TEST_F(ServeKeys, KeysAreTakenWithoutTheBlanksAroundThem) {
  const TemporaryFolder folder;
  write_file(folder / "keys", "\t of-the-file \r\n");
  setenv("FOVEA_API_KEYS", " #one ,two\t,,", 1);
  Serving server({"serve", "-m", model(), "--api-key-file", (folder / "keys").string()});
  const auto status_for = [&](const std::string& header) {
    HttpConnection connection(server.port());
    connection.get("/v1/models", header);
    return connection.read().status;
  };
  for (const char* key : {"#one", "two", "of-the-file"}) EXPECT_EQ(status_for("X-Api-Key: " + std::string(key) + "\r\n"), 200) << key;
  for (const char* wrong : {"", "X-Api-Key: one\r\n", "X-Api-Key: ,\r\n"}) EXPECT_EQ(status_for(wrong), 401) << wrong;
}

TEST_F(Cli, ServeTakesKeysFromAFileAndRefusesWhatCannotBe) {
  const TemporaryFolder folder;
  write_file(folder / "keys", "# of the team\nalpha\nbeta\r\n\n");
  Serving server({"serve", "-m", model(), "--api-key-file", (folder / "keys").string(), "--quiet"});
  HttpConnection without(server.port()), with(server.port());
  without.get("/v1/models");
  EXPECT_EQ(without.read().status, 401);
  with.get("/v1/models", "Authorization: Bearer beta\r\n");
  EXPECT_EQ(with.read().status, 200);
  expect_failure(run({"serve", "-m", model(), "--port", std::to_string(server.port())}), "port");
  expect_failure(run({"serve", "-m", model(), "--host", "nowhere"}), "--host");
  expect_failure(run({"serve", "-m", model(), "--api-key-file", (folder / "none").string()}), "none");
  expect_failure(run({"serve", "-m", model(), "--chunk", "8", "--sequences", "8"}), "--chunk");
  EXPECT_EQ(run({"serve", "-m", model(), "--port", "70000"}).status, 2);
}

TEST_F(Cli, AKilledServerGoesOnWithItsConversations) {
  const TemporaryFolder state;
  const std::string ask =
      R"({"model":"tiny","messages":[{"role":"user","content":"Who kept the lighthouse when the old keeper had gone down the stairs?"}],"max_tokens":8,"temperature":0})";
  const auto answer = [&](const Serving& server) {
    HttpConnection client(server.port());
    client.post("/v1/chat/completions", ask);
    return client.read().body;
  };
  const auto saved = [&] {
    for (const auto& entry : fs::directory_iterator(state.string())) {
      if (entry.path().extension() == ".session") return true;
    }
    return false;
  };
  Serving first({"serve", "-m", model(), "--name", "tiny", "--state", state.string()});
  ASSERT_GT(first.port(), 0) << first.log();
  EXPECT_TRUE(has(answer(first), "\"cached_tokens\":0"));
  for (int i = 0; i < 3000 && !saved(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  first.signal(SIGKILL);
  first.wait();
  Serving second({"serve", "-m", model(), "--name", "tiny", "--state", state.string()});
  const std::string again = answer(second);
  EXPECT_TRUE(has(again, "\"cached_tokens\":") && !has(again, "\"cached_tokens\":0")) << again;
}

}  // namespace
}  // namespace fovea::cli_tests
