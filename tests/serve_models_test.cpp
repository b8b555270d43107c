// Several models in one server.
#include <filesystem>
#include <fstream>
#include <mutex>

#include "serve_fixture.h"

namespace fovea::serve_tests {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class OfferingServer {
 public:
  OfferingServer(std::vector<OfferedModel> models, ServerOptions options)
      : server_(std::move(models), std::move(options)), thread_([this] { server_.run(); }) {}
  ~OfferingServer() {
    stop();
    thread_.join();
  }
  Server& server() { return server_; }
  void stop() { server_.stop(); }
  int port() const { return server_.port(); }
  HttpAnswer post(const std::string& path, const json& body, const std::string& headers = "") const {
    HttpConnection connection(port());
    connection.post(path, body.dump(), headers);
    return connection.read();
  }
  HttpAnswer get(const std::string& path, const std::string& headers = "") const {
    HttpConnection connection(port());
    connection.get(path, headers);
    return connection.read();
  }

 private:
  Server server_;
  std::thread thread_;
};

// Two models with the same shape and other weights, in a server with room for one or both.
class ServeModels : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folders_ = std::make_unique<testing_support::TemporaryFolder>();
    for (const char* name : {"a", "b"}) {
      const testing_support::TemporaryFolder written;
      cli_tests::write_tiny_model(written);
      fs::copy(written.string(), *folders_ / name);
    }
    change_weights(*folders_ / "b");
  }
  static void TearDownTestSuite() { folders_.reset(); }

  // The last bytes of the file, which are weights.
  static void change_weights(const fs::path& folder) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() != ".safetensors") continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      const auto bytes = static_cast<std::streamoff>(fs::file_size(entry.path()));
      std::vector<float> weights(2048);
      for (size_t i = 0; i < weights.size(); ++i) weights[i] = 0.01f * static_cast<float>(static_cast<int>(i * 37 % 61) - 30);
      file.seekp(bytes - static_cast<std::streamoff>(weights.size() * sizeof(float)));
      file.write(reinterpret_cast<const char*>(weights.data()), static_cast<std::streamsize>(weights.size() * sizeof(float)));
    }
  }

  static std::vector<OfferedModel> offered() { return offered(folders_->string()); }
  static std::vector<OfferedModel> offered(const fs::path& folders) {
    std::vector<OfferedModel> models(2);
    for (size_t i = 0; i < models.size(); ++i) {
      models[i].name = std::string(1, i == 0 ? 'a' : 'b');
      models[i].path = (folders / models[i].name).string();
      models[i].load.threads = 1;
      models[i].engine.context_tokens = 512;
      models[i].engine.sequences = 4;
      models[i].engine.chunk_tokens = 64;
      models[i].engine.threads = 1;
    }
    return models;
  }
  static ServerOptions options() {
    ServerOptions options;
    options.port = 0;
    return options;
  }
  // With room for one of the models, and not for both.
  static ServerOptions narrow() {
    ServerOptions narrow = options();
    narrow.memory_bytes = plan_bytes() * 3 / 2;
    return narrow;
  }
  static int64_t plan_bytes() {
    static const int64_t bytes = Server(offered(), options()).offers().front().plan_bytes;
    return bytes;
  }
  OfferingServer& serve(const ServerOptions& options) { return serve(offered(), options); }
  OfferingServer& serve(std::vector<OfferedModel> models, const ServerOptions& options) {
    server_.reset();
    server_ = std::make_unique<OfferingServer>(std::move(models), options);
    return *server_;
  }

  static json chat(const std::string& model, const json& more = json::object()) {
    json body = {{"model", model},
                 {"messages", {{{"role", "user"}, {"content", "Who kept the lighthouse when the old keeper had gone?"}}}},
                 {"temperature", 0},
                 {"max_tokens", 16}};
    body.update(more);
    return body;
  }
  json ask(const std::string& model, const json& more = json::object()) {
    const HttpAnswer got = server_->post("/v1/chat/completions", chat(model, more));
    EXPECT_EQ(got.status, 200) << got.body;
    return json::parse(got.body);
  }
  std::string answer(const std::string& model) { return ask(model).at("choices").at(0).at("message").at("content"); }
  static int cached(const json& answer) { return answer.at("usage").at("prompt_tokens_details").at("cached_tokens"); }

  std::vector<std::string> loaded() const {
    std::vector<std::string> names;
    const json ps = json::parse(server_->get("/api/ps").body);
    for (const json& model : ps.at("models")) names.push_back(model.at("name"));
    return names;
  }
  void until_loaded(const std::vector<std::string>& names) const {
    for (int i = 0; i < 5000 && loaded() != names; ++i) std::this_thread::sleep_for(2ms);
    EXPECT_EQ(loaded(), names);
  }
  int metric(const std::string& series) const {
    const std::string text = server_->get("/metrics").body;
    const size_t at = text.find("\n" + series + " ");
    return at == std::string::npos ? 0 : std::stoi(text.substr(at + series.size() + 2));
  }
  int events(const std::string& model, const std::string& event) const {
    return metric("fovea_model_events_total{model=\"" + model + "\",event=\"" + event + "\"}");
  }

  // A stream that has begun and goes on for as long as the connection is not read.
  std::unique_ptr<HttpConnection> begun(const std::string& model) {
    auto connection = std::make_unique<HttpConnection>(server_->port());
    connection->post("/v1/chat/completions", chat(model, {{"stream", true}, {"max_tokens", 400}}).dump());
    return connection;
  }
  // What a stream says, from what came of it first to its end.
  static std::string text_of(HttpConnection& connection, std::string came) {
    while (came.find("data: [DONE]") == std::string::npos) {
      const std::string more = connection.read_some();
      if (more.empty()) break;
      came += more;
    }
    std::string text;
    for (size_t at = 0; (at = came.find("data: {", at)) != std::string::npos; ++at) {
      const json event = json::parse(came.substr(at + 6, came.find('\n', at) - at - 6));
      for (const json& choice : event.at("choices")) text += choice.at("delta").value("content", "");
    }
    return text;
  }
  // It takes two seconds and more to load, and can be stopped all the while.
  static std::vector<OfferedModel> with_a_slow_b() {
    std::vector<OfferedModel> models = offered();
    models[1].load.progress = [](std::string_view, int64_t, int64_t) {
      std::this_thread::sleep_for(200ms);
      return true;
    };
    return models;
  }

  inline static std::unique_ptr<testing_support::TemporaryFolder> folders_;
  std::unique_ptr<OfferingServer> server_;
};

TEST_F(ServeModels, ARequestChoosesByNameInEveryApi) {
  serve(options());
  EXPECT_TRUE(loaded().empty());
  const std::string of_a = answer("a");
  EXPECT_EQ(loaded(), std::vector<std::string>{"a"});
  const std::string of_b = answer("b");
  EXPECT_NE(of_a, of_b);
  for (const char* name : {"a", "b"}) {
    const json openai = ask(name);
    EXPECT_EQ(openai.at("model"), name);
    const json ollama =
        json::parse(server_
                        ->post("/api/chat", {{"model", std::string(name) + ":latest"},
                                             {"stream", false},
                                             {"options", {{"temperature", 0}, {"num_predict", 16}, {"repeat_penalty", 1.0}}},
                                             {"messages", chat(name).at("messages")}})
                        .body);
    EXPECT_EQ(ollama.at("model"), name);
    EXPECT_EQ(ollama.at("message").at("content"), openai.at("choices").at(0).at("message").at("content"));
    const json anthropic = json::parse(
        server_->post("/v1/messages", {{"model", name}, {"max_tokens", 16}, {"temperature", 0}, {"messages", chat(name).at("messages")}})
            .body);
    EXPECT_EQ(anthropic.at("model"), name);
    EXPECT_EQ(anthropic.at("content").at(0).at("text"), openai.at("choices").at(0).at("message").at("content"));
  }
}

TEST_F(ServeModels, AllAreListedLoadedOrNot) {
  serve(options());
  const json models = json::parse(server_->get("/v1/models").body).at("data"),
             tags = json::parse(server_->get("/api/tags").body).at("models");
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].at("id"), "a");
  EXPECT_EQ(models[1].at("max_model_len"), 512);
  EXPECT_EQ(tags[1].at("name"), "b");
  EXPECT_EQ(json::parse(server_->get("/v1/models/b").body).at("id"), "b");
  EXPECT_EQ(server_->post("/api/show", {{"model", "b"}}).status, 200);
  EXPECT_TRUE(loaded().empty());
}

TEST_F(ServeModels, WhatIsNotOfferedIsNotFoundAndNoPathIsOpened) {
  serve(options());
  const std::string path = (*folders_ / "a").string();
  for (const std::string& name : {std::string("c"), std::string("/etc/passwd"), std::string("../x.gguf"), path, std::string("a/"),
                                  std::string("A"), std::string("gemma3-270m"), std::string()}) {
    const HttpAnswer openai = server_->post("/v1/chat/completions", chat(name));
    EXPECT_EQ(openai.status, 404) << name;
    EXPECT_EQ(json::parse(openai.body).at("error").at("code"), "model_not_found");
    const HttpAnswer ollama = server_->post("/api/chat", chat(name));
    EXPECT_EQ(ollama.status, 404) << name;
    EXPECT_EQ(json::parse(ollama.body).at("error"), "model '" + name + "' not found");
    const HttpAnswer anthropic = server_->post("/v1/messages", chat(name));
    EXPECT_EQ(anthropic.status, 404) << name;
    EXPECT_EQ(json::parse(anthropic.body).at("error").at("type"), "not_found_error");
    EXPECT_EQ(server_->post("/v1/embeddings", {{"model", name}, {"input", "x"}}).status, 404);
    EXPECT_EQ(server_->post("/api/show", {{"model", name}}).status, 404);
    EXPECT_EQ(server_->post("/page/plan", {{"model", name.empty() ? "none" : name}}).status, name == "gemma3-270m" ? 200 : 404) << name;
  }
  EXPECT_EQ(server_->post("/tokenize", {{"content", "x"}}).status, 400) << "of which model?";
  EXPECT_TRUE(loaded().empty());
}

TEST_F(ServeModels, OneMakesRoomForTheOtherAndAnswersTheSameAfterwards) {
  serve(narrow());
  const std::string of_a = answer("a"), of_b = answer("b");
  EXPECT_EQ(loaded(), std::vector<std::string>{"b"});
  EXPECT_EQ(answer("a"), of_a);
  EXPECT_EQ(loaded(), std::vector<std::string>{"a"});
  EXPECT_EQ(answer("b"), of_b);
  EXPECT_EQ(events("a", "loaded"), 2);
  EXPECT_EQ(events("a", "put_away"), 2);
  EXPECT_LE(metric("fovea_models_planned_bytes"), narrow().memory_bytes);
}

TEST_F(ServeModels, WhatIsPlannedIsWhatTheEngineOfTheModelPlans) {
  serve(options());
  const std::vector<OfferedModel> models = offered();
  LoadOptions load;
  load.threads = 1;
  EngineOptions engine_options = models[0].engine;
  engine_options.grammars = true;  // any client may send some
  Engine engine(Model::load(models[0].path, load), engine_options);
  EXPECT_EQ(server_->server().offers().front().plan_bytes, engine.plan().total_bytes);
}

TEST_F(ServeModels, ABusyModelIsNotPutAway) {
  serve(narrow());
  const std::string alone = text_of(*begun("a"), "");
  EXPECT_GT(alone.size(), 100u);
  auto busy = begun("a");
  const std::string first = busy->read_some();
  HttpConnection other(server_->port());
  other.post("/v1/chat/completions", chat("b").dump());
  EXPECT_EQ(text_of(*busy, first), alone);
  EXPECT_EQ(other.read().status, 200);
  EXPECT_EQ(events("a", "put_away"), 1);
}

TEST_F(ServeModels, TwoClientsLoadAModelOnce) {
  serve(options());
  std::vector<std::unique_ptr<HttpConnection>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<HttpConnection>(server_->port()));
    clients.back()->post("/v1/chat/completions", chat(i % 2 ? "a" : "b").dump());
  }
  for (const auto& client : clients) EXPECT_EQ(client->read().status, 200);
  EXPECT_EQ(events("a", "loading"), 1);
  EXPECT_EQ(events("b", "loading"), 1);
}

TEST_F(ServeModels, PromptsAreReusedWithinAModelAlone) {
  serve(options());
  EXPECT_EQ(cached(ask("a")), 0);
  EXPECT_EQ(cached(ask("b")), 0);
  EXPECT_GT(cached(ask("a")), 10);
  EXPECT_GT(cached(ask("b")), 10);
}

TEST_F(ServeModels, ConversationsOfEachOutliveItsPuttingAway) {
  const testing_support::TemporaryFolder state;
  ServerOptions keeping = narrow();
  keeping.state_folder = state.string();
  serve(keeping);
  const json first = ask("a");
  EXPECT_EQ(cached(ask("b")), 0);
  const json again = ask("a");
  EXPECT_GT(cached(again), 10);
  EXPECT_EQ(again.at("choices"), first.at("choices"));
  EXPECT_THROW(Server(offered(), keeping), Error) << "the folder is one server's";
  serve(keeping);
  EXPECT_GT(cached(ask("b")), 10) << "after a restart";
}

TEST_F(ServeModels, TakesOverWhatASingleModelsServerLeft) {
  const testing_support::TemporaryFolder state;
  ServerOptions keeping = options();
  keeping.state_folder = state.string();
  std::vector<OfferedModel> only = offered();
  only.pop_back();
  serve(only, keeping);
  ask("a");
  serve(keeping);
  EXPECT_EQ(cached(ask("b")), 0);
  EXPECT_GT(cached(ask("a")), 10);
}

TEST_F(ServeModels, IdleOnesGoWhenTheirTimeIsOver) {
  ServerOptions brief = options();
  brief.keep_alive_seconds = 0.05;
  serve(brief);
  answer("a");
  EXPECT_EQ(json::parse(server_->post("/api/generate", {{"model", "b"}, {"keep_alive", -1}}).body).at("done_reason"), "load");
  until_loaded({"b"});
  const json ps = json::parse(server_->get("/api/ps").body).at("models").at(0);
  EXPECT_EQ(ps.at("size"), server_->server().offers().at(1).plan_bytes);
  EXPECT_TRUE(ps.at("expires_at").get<std::string>().starts_with("2299-")) << ps;
}

TEST_F(ServeModels, OfSeveralKeysNonePutsAwayWhatOthersUse) {
  ServerOptions shared = options();
  shared.api_keys = {"one", "two"};
  serve(shared);
  const std::string key = "Authorization: Bearer two\r\n";
  EXPECT_EQ(json::parse(server_->post("/api/generate", {{"model", "a"}, {"keep_alive", 0}}, key).body).at("done_reason"), "load");
  EXPECT_EQ(json::parse(server_->get("/api/ps", key).body).at("models").size(), 1u) << "still there";
  EXPECT_EQ(server_->post("/api/chat", {{"model", "a"}, {"keep_alive", "soon"}}, key).status, 400);
}

TEST_F(ServeModels, AClientOfOllamasPutsModelsAway) {
  serve(options());
  answer("a");
  answer("b");
  EXPECT_EQ(json::parse(server_->post("/api/generate", {{"model", "a"}, {"keep_alive", 0}}).body).at("done_reason"), "unload");
  until_loaded({"b"});
  const json answered =
      json::parse(server_
                      ->post("/api/generate",
                             {{"model", "b"}, {"keep_alive", "0s"}, {"prompt", "x"}, {"stream", false}, {"options", {{"num_predict", 4}}}})
                      .body);
  EXPECT_TRUE(answered.at("done"));
  until_loaded({});
  EXPECT_EQ(server_->post("/api/chat", {{"model", "a"}, {"keep_alive", "soon"}}).status, 400);
  EXPECT_EQ(json::parse(server_->post("/api/chat", {{"model", "a"}, {"keep_alive", "10m"}}).body).at("done_reason"), "load");
  EXPECT_EQ(loaded(), std::vector<std::string>{"a"});
}

TEST_F(ServeModels, ASingleModelIsThereFromTheStartAndStays) {
  std::vector<OfferedModel> only = offered();
  only.pop_back();
  serve(only, options());
  EXPECT_EQ(loaded(), std::vector<std::string>{"a"});
  EXPECT_EQ(json::parse(server_->post("/api/generate", {{"model", "a"}, {"keep_alive", 0}}).body).at("done_reason"), "load");
  EXPECT_EQ(server_->post("/tokenize", {{"content", "x"}}).status, 200) << "there is no other";
  EXPECT_EQ(loaded(), std::vector<std::string>{"a"});
}

TEST_F(ServeModels, ASingleModelWithATimeGoesAndComesBack) {
  std::vector<OfferedModel> only = offered();
  only.pop_back();
  ServerOptions brief = options();
  brief.keep_alive_seconds = 0.05;
  serve(only, brief);
  const std::string first = answer("a");
  until_loaded({});
  EXPECT_EQ(answer("a"), first);
}

TEST_F(ServeModels, ADeadlinePassesWhileAModelIsWaitedFor) {
  ServerOptions hurried = narrow();
  hurried.limits.request_seconds = 0.3;
  serve(with_a_slow_b(), hurried);
  const HttpAnswer late = server_->post("/v1/chat/completions", chat("b"));
  EXPECT_EQ(late.status, 503) << late.body;
  EXPECT_NE(late.body.find("model 'b'"), std::string::npos) << late.body;
}

TEST_F(ServeModels, MoreThanMayWaitForAModelAreRefused) {
  ServerOptions few = narrow();
  few.limits.waiting = 0;
  serve(few);
  const HttpAnswer full = server_->post("/v1/chat/completions", chat("b"));
  EXPECT_EQ(full.status, 503);
  EXPECT_TRUE(full.headers.contains("retry-after"));
  EXPECT_NE(full.body.find("requests wait for models"), std::string::npos) << full.body;
}

TEST_F(ServeModels, AFileThatIsGoneOrAnotherIsToldAndTheServerGoesOn) {
  const testing_support::TemporaryFolder own;
  for (const char* name : {"a", "b"}) fs::copy(*folders_ / name, own / name);
  std::string log;
  std::mutex mutex;
  ServerOptions logging = narrow();
  logging.log = [&](std::string_view line) {
    const std::lock_guard lock(mutex);
    log.append(line).append("\n");
  };
  serve(offered(own.string()), logging);
  const std::string of_a = answer("a");
  const fs::path weights = own / "b" / "model.safetensors", whole = *folders_ / "b" / "model.safetensors";
  fs::resize_file(weights, fs::file_size(weights) / 2);
  const HttpAnswer torn = server_->post("/v1/chat/completions", chat("b"));
  EXPECT_EQ(torn.status, 500);
  EXPECT_EQ(json::parse(torn.body).at("error").at("code"), "model_not_loaded");
  EXPECT_EQ(torn.body.find(own.string()), std::string::npos) << torn.body;
  fs::remove(weights);
  const HttpAnswer gone = server_->post("/v1/messages", {{"model", "b"}, {"max_tokens", 4}, {"messages", chat("b").at("messages")}});
  EXPECT_EQ(gone.status, 500);
  EXPECT_EQ(json::parse(gone.body).at("error").at("type"), "api_error");
  EXPECT_EQ(gone.body.find(own.string()), std::string::npos) << gone.body;
  EXPECT_EQ(answer("a"), of_a);
  fs::copy_file(whole, weights);
  EXPECT_EQ(server_->post("/v1/chat/completions", chat("b")).status, 200) << "it is tried again";
  server_.reset();  // it logs to its end
  EXPECT_NE(log.find("\"event\":\"not_loaded\""), std::string::npos) << log;
}

TEST_F(ServeModels, WhatNeverFitsIsRefusedAtTheStartWithTheNumbers) {
  ServerOptions tiny = options();
  tiny.memory_bytes = 1 << 20;
  try {
    Server(offered(), tiny);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("1.00 MiB are free"), std::string::npos) << error.what();
  }
  std::vector<OfferedModel> same = offered();
  same[1].name = same[0].name;
  EXPECT_THROW(Server(same, options()), Error);
  same[1].name.clear();
  EXPECT_THROW(Server(same, options()), Error);
  same[1] = {"none", (*folders_ / "none").string()};
  EXPECT_THROW(Server(same, options()), Error);
  EXPECT_THROW(Server(std::vector<OfferedModel>{}, options()), Error);
}

TEST_F(ServeModels, TheServerEndsWhileAModelIsWaitedFor) {
  serve(with_a_slow_b(), narrow());
  HttpConnection waiting(server_->port());
  waiting.post("/v1/chat/completions", chat("b").dump());
  for (int i = 0; i < 5000 && events("b", "loading") == 0; ++i) std::this_thread::sleep_for(1ms);
  server_->stop();
  const HttpAnswer answer = waiting.read();
  EXPECT_EQ(answer.status, 503) << answer.body;
  server_.reset();
}

TEST_F(ServeModels, PageAndMetricsTellModelsApart) {
  serve(options());
  EXPECT_EQ(json::parse(server_->get("/page/load").body).at("loaded"), false);
  answer("b");
  const json info = json::parse(server_->get("/page/info").body);
  EXPECT_EQ(info.at("models").at(1).at("model"), "b");
  EXPECT_EQ(info.at("model"), "a");
  EXPECT_EQ(json::parse(server_->post("/page/cache", {{"model", "b"}}).body).at("requests"), 1);
  EXPECT_EQ(json::parse(server_->post("/page/cache", {{"model", "a"}}).body).at("loaded"), false);
  EXPECT_EQ(server_->post("/page/load", {{"model", "c"}}).status, 404);
  EXPECT_EQ(metric("fovea_calls_total{model=\"b\",finish=\"length\"}") + metric("fovea_calls_total{model=\"b\",finish=\"stop\"}"), 1);
  EXPECT_GT(metric("fovea_engine_steps_total{model=\"b\"}"), 0);
  EXPECT_EQ(metric("fovea_engine_steps_total{model=\"a\"}"), 0);
}

}  // namespace
}  // namespace fovea::serve_tests
