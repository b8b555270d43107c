// Models served over HTTP, to the clients that people already have (docs/serve.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/model.h"
#include "fovea/options.h"

namespace fovea {

// For everything that a client decides. Seconds are of the clock, bytes of one request or connection.
struct ServerLimits {
  int connections = 512;           // open at once; more get 503
  int header_bytes = 16 << 10;     // 431
  int64_t body_bytes = 8 << 20;    // 413
  double idle_seconds = 60;        // until the next request's header is there; the connection ends
  double body_seconds = 30;        // until its body is; likewise
  double write_seconds = 30;       // for the client to take a piece of the reply; likewise
  int64_t unsent_bytes = 4 << 20;  // of a reply, waiting for a slow reader; likewise
  int waiting = 256;               // requests in the engine's queue; more get 503
  int per_key = 64;                // requests of one key under way at once, each choice one; more get 429
  int choices = 16;                // most for "n"
  int output_tokens = 0;           // most for "max_tokens"; 0: what the context takes
  double request_seconds = 600;    // until an answer is complete; what is there then is all there is
  double drain_seconds = 30;       // for answers under way, after stop()
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  int port = 8080;                         // 0: any that is free
  std::string model_name = {};             // what clients call the model; of several each has its own
  int64_t memory_bytes = 0;                // that the plans of all loaded models have together; 0: what the machine can give at start
  double keep_alive_seconds = -1;          // an idle model is put away after so long; negative: only where another needs its room
  std::vector<std::string> api_keys = {};  // empty: everybody may; then only localhost and addresses are taken as Host
  int prompt_lookup = 0;                   // Request::prompt_lookup of requests that say nothing of it
  bool share_cache = false;                // between keys; else nobody can tell from timing what another key's prompts were
  std::string cors_origin = {};            // of pages that may ask from a browser; empty: none but our own
  std::string state_folder = {};           // where conversations outlive the server; empty: nowhere
  int64_t state_bytes = int64_t{4} << 30;  // most that they take there; those not continued for longest go first
  ServerLimits limits = {};
  std::function<void(std::string_view line)> log = {};  // one JSON object per line, nothing of prompts or answers; from any thread
};

// A model that a server loads when it is asked for.
struct OfferedModel {
  std::string name;  // what clients call it
  std::string path;  // a .gguf file, or a folder
  LoadOptions load = {};
  EngineOptions engine = {};
};

// owner    shares the model, or owns those that it loads; owns the engines and all threads
// threads  run() on one; the others from any
class Server {
 public:
  // Listens from here on; answers while run() runs. errors: Error for options that do not fit, a port that is taken, and as Engine
  Server(std::shared_ptr<const Model> model, const EngineOptions& engine, ServerOptions options);
  // Several: each is loaded when the first request for it comes, within options.memory_bytes; where there is no room, idle ones that
  // were not used for longest are put away first, and a request waits for busy ones. A single one is loaded here, and stays unless
  // options.keep_alive_seconds says otherwise. errors: as above, and Error for names that are missing or twice, and models that do not fit
  // alone
  Server(std::vector<OfferedModel> models, ServerOptions options);
  ~Server();

  struct Offer {
    std::string name;
    int64_t plan_bytes;  // that it takes while it is loaded: weights, keys and values, scratch memory
  };
  std::vector<Offer> offers() const;
  int64_t memory_bytes() const;  // ServerOptions::memory_bytes, as resolved
  int port() const;
  // Until stop() or `stopping` (asked ten times a second) says so, and what was under way is answered, or drain_seconds over.
  void run(const std::function<bool()>& stopping = {});
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea
