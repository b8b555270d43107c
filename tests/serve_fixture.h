// A server with a tiny model, on a thread of the test.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "cli_tiny_model.h"
#include "fovea/engine.h"
#include "fovea/error.h"
#include "fovea/server.h"
#include "support/http_client.h"

namespace fovea::serve_tests {

using nlohmann::json;
using testing_support::HttpAnswer;
using testing_support::HttpConnection;

class RunningServer {
 public:
  RunningServer(const std::shared_ptr<const Model>& model, const EngineOptions& engine, const ServerOptions& options)
      : server_(model, engine, options), thread_([this] { server_.run(); }) {}
  ~RunningServer() {
    server_.stop();
    thread_.join();
  }

  int port() const { return server_.port(); }
  void stop() { server_.stop(); }

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

class Serve : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const testing_support::TemporaryFolder folder;
    cli_tests::write_tiny_model(folder);
    LoadOptions load;
    load.threads = 1;
    model_ = Model::load(folder.string(), load);
  }
  static void TearDownTestSuite() { model_.reset(); }

  static EngineOptions engine_options() {
    EngineOptions options;
    options.context_tokens = 512;
    options.sequences = 4;
    options.chunk_tokens = 64;
    options.threads = 2;
    return options;
  }
  static ServerOptions server_options() {
    ServerOptions options;
    options.port = 0;
    options.model_name = "tiny";
    return options;
  }
  RunningServer& server() {
    if (!server_) server_ = std::make_unique<RunningServer>(model_, engine_options(), server_options());
    return *server_;
  }
  void serve(const ServerOptions& options) { server_ = std::make_unique<RunningServer>(model_, engine_options(), options); }
  void end_server() { server_.reset(); }

  static json chat(const std::string& text, const json& more = json::object()) {
    json body = {{"model", "tiny"}, {"messages", {{{"role", "user"}, {"content", text}}}}, {"temperature", 0}, {"max_tokens", 24}};
    body.update(more);
    return body;
  }
  json ask(const json& body) { return json::parse(server().post("/v1/chat/completions", body).body); }
  std::string answer_to(const json& body) { return ask(body).at("choices").at(0).at("message").at("content"); }

  // The events of a stream, without [DONE], which has to be the last.
  static std::vector<json> events_of(const std::string& body) {
    std::vector<json> events;
    bool done = false;
    for (size_t at = 0; at < body.size();) {
      const size_t end = body.find("\n\n", at);
      EXPECT_NE(end, std::string::npos) << body.substr(at);
      if (end == std::string::npos) break;
      const std::string line = body.substr(at, end - at);
      EXPECT_TRUE(line.starts_with("data: ")) << line;
      EXPECT_FALSE(done);
      if (line == "data: [DONE]") done = true;
      else events.push_back(json::parse(line.substr(6)));
      at = end + 2;
    }
    EXPECT_TRUE(done);
    return events;
  }
  static std::string text_of(const std::vector<json>& events, int choice = 0) {
    std::string text;
    for (const json& event : events) {
      for (const json& one : event.at("choices")) {
        if (one.at("index") == choice) text += one.at("delta").value("content", "");
      }
    }
    return text;
  }

  // Empty for what the tokenizer has no name for.
  static std::string token_text(int32_t token) {
    try {
      return model_->token_bytes(token);
    } catch (const Error&) {
      return "";
    }
  }

  inline static std::shared_ptr<const Model> model_;
  std::unique_ptr<RunningServer> server_;
};

}  // namespace fovea::serve_tests
