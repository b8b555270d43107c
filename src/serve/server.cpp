#include "fovea/server.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <future>
#include <utility>

#include "fovea/error.h"
#include "serve/conversation_store.h"
#include "serve/http_server.h"
#include "serve/router.h"
#include "serve/service.h"

namespace fovea {
namespace {

using serve::ApiError;

constexpr double kWatchSeconds = 0.1;
constexpr int kLeastPause = 10;  // times as long as a conversation's saving took: who generates beside it waits no more than a tenth of the time
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
  if (options.prompt_lookup < 0 || options.prompt_lookup > EngineLimits::kMostLookupTokens) {
    throw Error(fmt::format("prompt_lookup is {}", options.prompt_lookup), "server options", fmt::format("give 0 to {}", EngineLimits::kMostLookupTokens));
  }
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
    if (!service.options.state_folder.empty()) restore_conversations();
    service.prompts = std::make_unique<serve::PromptReader>(service.model, engine->options().context_tokens);
  }

  serve::HttpHooks hooks();
  void watch(const std::function<bool()>& stopping);
  void drain();
  void restore_conversations();
  void save_conversations();
  void save_now(Engine& engine, bool all);

  serve::Service service;
  serve::Router router;
  serve::HttpServer http;
  std::unique_ptr<serve::ConversationStore> conversations;
  bool saving = false;  // the server's thread's
  std::chrono::steady_clock::time_point next_save = {};
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

// Before anybody can ask: the constructor waits for it.
void Server::State::restore_conversations() {
  const ServerOptions& options = service.options;
  conversations = std::make_unique<serve::ConversationStore>(options.state_folder, options.state_bytes);
  service.keep = [this](const std::string& salt, std::vector<int32_t> tokens, int prompt_tokens) {
    conversations->add({salt, std::move(tokens), prompt_tokens});
  };
  std::promise<serve::ConversationStore::Restored> promise;
  engine->between_steps([this, &promise](Engine& idle) {
    try {
      promise.set_value(conversations->restore(idle));
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  });
  const serve::ConversationStore::Restored restored = promise.get_future().get();
  service.log({{"time", std::time(nullptr)}, {"event", "restored"}, {"conversations", restored.conversations}, {"tokens", restored.tokens}});
  for (const std::string& reason : restored.left_out) {
    service.log({{"time", std::time(nullptr)}, {"event", "left_out"}, {"reason", reason}});
  }
}

void Server::State::save_conversations() {
  if (saving || !conversations->pending()) return;
  const bool idle = http.under_way() == 0;
  if (!idle && std::chrono::steady_clock::now() < next_save) return;
  saving = true;
  engine->between_steps([this, all = idle && service.draining](Engine& between) { save_now(between, all); });
}

// On the engine's thread.
void Server::State::save_now(Engine& between, bool all) {
  const auto begin = std::chrono::steady_clock::now();
  do {
    try {
      conversations->save_one(between);
    } catch (const std::exception& error) {
      service.log({{"time", std::time(nullptr)}, {"event", "not_saved"}, {"reason", error.what()}});
    }
  } while (all && conversations->pending());
  const auto end = std::chrono::steady_clock::now();
  http.post([this, pause = kLeastPause * (end - begin), end] {
    saving = false;
    next_save = end + pause;
  });
}

// Ten times a second, on the server's thread.
void Server::State::watch(const std::function<bool()>& stopping) {
  if (stopping && stopping()) drain();
  if (conversations) save_conversations();
  if (!drain_until) return;
  const bool done = http.under_way() == 0 && !saving && !(conversations && conversations->pending());
  if (done || std::chrono::steady_clock::now() >= *drain_until) http.stop();
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
