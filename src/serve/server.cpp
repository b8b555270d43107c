#include "fovea/server.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <utility>

#include "fovea/error.h"
#include "serve/http_server.h"
#include "serve/router.h"
#include "serve/service.h"

namespace fovea {
namespace {

using serve::ApiError;

constexpr double kWatchSeconds = 0.1;
constexpr size_t kLongestKey = 256;

const ServerOptions& checked(const ServerOptions& options) {
  const ServerLimits& limits = options.limits;
  const bool good = limits.connections > 0 && limits.header_bytes >= 1024 && limits.body_bytes >= 1024 && limits.idle_seconds > 0 &&
                    limits.body_seconds > 0 && limits.write_seconds > 0 && limits.unsent_bytes >= 1024 && limits.waiting >= 0 &&
                    limits.per_key > 0 && limits.choices > 0 && limits.output_tokens >= 0 && limits.request_seconds > 0 && limits.drain_seconds >= 0;
  if (!good) throw Error("a limit is too small", "server limits", "seconds and counts are above 0, bytes 1024 or more");
  if (options.model_name.empty()) throw Error("the model has no name", "server options", "give one");
  for (const std::string& key : options.api_keys) {
    if (key.empty() || key.size() > kLongestKey) throw Error("an API key has 1 to 256 bytes", "API keys", "give another");
  }
  if (options.port < 0 || options.port > 65535) throw Error(fmt::format("port {} does not exist", options.port), "--port", "choose 0 to 65535");
  return options;
}

EngineOptions checked(const EngineOptions& options) {
  if (options.static_cache) throw Error("a static cache holds one sequence, and nothing for the next", "server", "run with a paged cache");
  if (options.chunk_tokens < 2 * options.sequences) {
    throw Error(fmt::format("{} sequences take {} tokens of every step, and leave too few of {} to prompts", options.sequences,
                            options.sequences, options.chunk_tokens),
                "--chunk", fmt::format("choose {} or more, or fewer --sequences", 2 * options.sequences));
  }
  return options;
}

}  // namespace

struct Server::State {
  State(std::shared_ptr<const Model> model, const EngineOptions& engine_options, ServerOptions options)
      : service{std::move(model), checked(options), std::time(nullptr), {}, nullptr, {}, {}, false},
        router(service),
        http(options.address, options.port, options.limits, hooks()),
        engine(std::make_unique<AsyncEngine>(service.model, checked(engine_options), AsyncEngineOptions{options.limits.waiting})) {
    service.post = [this](std::function<void()> work) { http.post(std::move(work)); };
    service.engine = engine.get();
    service.prompts = std::make_unique<serve::PromptReader>(service.model, engine->options().context_tokens);
  }

  serve::HttpHooks hooks();
  void watch(const std::function<bool()>& stopping);
  void drain();

  serve::Service service;
  serve::Router router;
  serve::HttpServer http;
  std::unique_ptr<AsyncEngine> engine;  // after http: its events go there
  std::optional<std::chrono::steady_clock::time_point> drain_until;
};

serve::HttpHooks Server::State::hooks() {
  serve::HttpHooks hooks;
  hooks.handle = [this](const serve::HttpRequest& request, const std::shared_ptr<serve::Reply>& reply) { router.handle(request, reply); };
  hooks.refused_by_head = [this](const serve::HttpRequest& head) { return router.refused_by_head(head); };
  hooks.refusal = [](int status, const std::string& message) {
    return serve::error_response({status, status == 503 ? "server_error" : "invalid_request_error", message}, serve::Dialect::openai);
  };
  hooks.done = [this](const serve::HttpOutcome& outcome) {
    service.metrics.add("fovea_http_requests_total", fmt::format("status=\"{}\"", outcome.gone ? 499 : outcome.status), 1);
    nlohmann::ordered_json line = {{"time", std::time(nullptr)}, {"event", "request"}, {"request", outcome.id}, {"method", outcome.method},
                                   {"path", outcome.path.substr(0, 128)}, {"status", outcome.status}, {"ms", static_cast<int64_t>(outcome.seconds * 1000)}};
    if (outcome.gone) line["gone"] = true;
    service.log(line);
  };
  return hooks;
}

void Server::State::drain() {
  if (service.draining) return;
  service.draining = true;
  service.log({{"time", std::time(nullptr)}, {"event", "draining"}, {"under_way", http.under_way()}});
  drain_until = std::chrono::steady_clock::now() + std::chrono::milliseconds(static_cast<int64_t>(service.options.limits.drain_seconds * 1000));
  http.stop_listening();
}

// Ten times a second, on the server's thread.
void Server::State::watch(const std::function<bool()>& stopping) {
  if (stopping && stopping()) drain();
  if (!drain_until) return;
  if (http.under_way() == 0 || std::chrono::steady_clock::now() >= *drain_until) http.stop();
}

Server::Server(std::shared_ptr<const Model> model, const EngineOptions& engine, ServerOptions options)
    : state_(std::make_unique<State>(std::move(model), engine, std::move(options))) {}

Server::~Server() {
  state_->engine.reset();  // what it still has to say goes to a server that is there
}

int Server::port() const { return state_->http.port(); }

void Server::run(const std::function<bool()>& stopping) {
  state_->http.every(kWatchSeconds, [this, stopping] { state_->watch(stopping); });
  state_->http.run();
}

void Server::stop() {
  state_->http.post([this] { state_->drain(); });
}

}  // namespace fovea
