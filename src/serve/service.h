// What all routes share.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "fovea/async_engine.h"
#include "fovea/server.h"
#include "serve/api_error.h"
#include "serve/generation.h"
#include "serve/metrics.h"
#include "serve/prompt_reader.h"
#include "serve/recent_calls.h"

namespace fovea::serve {

// threads  constant, but for metrics and recent calls, which lock, and `under_way`, which is the server's thread's
struct Service {
  std::shared_ptr<const Model> model;
  ServerOptions options;
  int64_t created = 0;  // seconds since 1970
  Post post;
  AsyncEngine* engine = nullptr;  // outlives all requests
  Metrics metrics;
  std::map<int, int> under_way;  // requests of the engine by number of the key
  bool draining = false;         // the server's thread's
  Keep keep = {};                // where conversations outlive the server
  std::unique_ptr<const PromptReader> prompts = {};
  RecentCalls recent = {};

  void log(const nlohmann::ordered_json& line) const;
};

// Who asks.
struct Caller {
  uint64_t request_id = 0;
  int key = -1;      // number of the key; -1: none is needed
  std::string salt;  // of what is kept of the prompts
};

std::string cache_header(const ReuseReport& report);  // "reused=96; of=120; reason=differs; at=96"
std::string random_id(const char* prefix);            // "chatcmpl-5f3c..."
std::string text_of(const nlohmann::ordered_json& json);
Headers of_stream(Headers headers);  // and those that keep what is between from waiting for the stream's end

// Counts a call while it is under way, and tells log and metrics of it when it ends.
class CallRecord {
 public:
  // requests: of the engine, that the call is made of. errors: ApiError when the key would have more of them than it may, or the server
  // drains. On the server's thread, as everything here.
  CallRecord(Service& service, const Caller& caller, int requests);
  ~CallRecord();
  CallRecord(const CallRecord&) = delete;
  CallRecord& operator=(const CallRecord&) = delete;

  void begun(const ReuseReport& report);
  void done(const Usage& usage, std::string finish);

 private:
  Service& service_;
  Caller caller_;
  int requests_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  double first_seconds_ = -1;
  Usage usage_;
  std::string finish_ = "cancelled";
};

}  // namespace fovea::serve
