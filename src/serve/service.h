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
#include "serve/model_pool.h"
#include "serve/recent_calls.h"
#include "serve/served_model.h"

namespace fovea::serve {

// threads  constant, but for metrics and recent calls, which lock, and `under_way`, which is the server's thread's
struct Service {
  ServerOptions options;
  std::vector<ServedModel> models;  // at least one; the pool knows them by their number here
  int64_t created = 0;              // seconds since 1970
  Post post = {};
  Post work = {};             // to a thread that handles requests
  ModelPool* pool = nullptr;  // outlives all requests
  Metrics metrics = {};
  std::map<int, int> under_way = {};  // requests of the engines by number of the key
  bool draining = false;              // the server's thread's
  RecentCalls recent = {};

  bool several() const { return models.size() > 1; }
  std::string label(const std::string& name) const { return several() ? label_of(name) : ""; }  // of metrics
  void log(const nlohmann::ordered_json& line) const;
};

// Who asks.
struct Caller {
  uint64_t request_id = 0;
  int key = -1;                                         // number of the key; -1: none is needed
  std::string salt;                                     // of what is kept of the prompts
  ModelUse model = {};                                  // null where the route asks no model
  std::chrono::steady_clock::time_point deadline = {};  // for the whole answer
  double load_seconds = 0;                              // that it waited for the model
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
