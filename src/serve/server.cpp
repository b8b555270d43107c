#include "fovea/server.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <future>
#include <set>
#include <utility>

#include "fovea/error.h"
#include "fovea/plan.h"
#include "serve/conversation_store.h"
#include "serve/http_server.h"
#include "serve/model_loading.h"
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
                    limits.per_key > 0 && limits.choices > 0 && limits.output_tokens >= 0 && limits.request_seconds > 0 &&
                    limits.drain_seconds >= 0;
  if (!good) throw Error("a limit is too small", "server limits", "seconds and counts are above 0, bytes 1024 or more");
  for (const std::string& key : options.api_keys) {
    if (key.empty() || key.size() > kLongestKey) throw Error("an API key has 1 to 256 bytes", "API keys", "give another");
  }
  if (options.port < 0 || options.port > 65535)
    throw Error(fmt::format("port {} does not exist", options.port), "--port", "choose 0 to 65535");
  if (options.prompt_lookup < 0 || options.prompt_lookup > EngineLimits::kMostLookupTokens) {
    throw Error(fmt::format("prompt_lookup is {}", options.prompt_lookup), "server options",
                fmt::format("give 0 to {}", EngineLimits::kMostLookupTokens));
  }
  return options;
}

// As a server runs it: any client may send grammars.
EngineOptions serve_options(EngineOptions options) {
  if (options.static_cache) throw Error("a static cache holds one sequence, and nothing for the next", "server", "run with a paged cache");
  if (options.chunk_tokens < 2 * options.sequences) {
    throw Error(fmt::format("{} sequences take {} tokens of every step, and leave too few of {} to prompts", options.sequences,
                            options.sequences, options.chunk_tokens),
                "--chunk", fmt::format("choose {} or more, or fewer --sequences", 2 * options.sequences));
  }
  options.grammars = true;
  return options;
}

constexpr size_t kLongestName = 256;

const std::vector<OfferedModel>& checked(const std::vector<OfferedModel>& models) {
  if (models.empty()) throw Error("there is no model", "server options", "offer one");
  std::set<std::string> names;
  for (const OfferedModel& model : models) {
    if (model.name.empty() || model.name.size() > kLongestName)
      throw Error("a model's name has 1 to 256 bytes", "server options", "give another");
    if (!names.insert(model.name).second)
      throw Error("two models are called '" + model.name + "'", "server options", "give each a name of its own");
  }
  return models;
}

// What there is to know without weights; where it is the only one, it stays, unless keep_alive_seconds says otherwise.
std::vector<serve::ServedModel> looked_up(std::vector<OfferedModel> models, ServerOptions& options) {
  checked(models);
  if (options.memory_bytes <= 0) options.memory_bytes = free_memory_bytes();
  const bool resident = models.size() == 1 && options.keep_alive_seconds < 0;
  std::vector<serve::ServedModel> all;
  for (OfferedModel& model : models) {
    model.engine = serve_options(model.engine);
    all.push_back(serve::look_up(std::move(model), options.memory_bytes));
    all.back().resident = resident;
  }
  return all;
}

serve::ServedModel alone(const std::shared_ptr<const Model>& model, const EngineOptions& engine, const std::string& name) {
  serve::ServedModel served;
  served.offered.name = name;
  served.offered.path = model->facts().path;
  served.offered.engine = serve_options(engine);
  served.facts = model->facts();
  served.has_chat_template = model->has_chat_template();
  served.resident = true;
  return served;
}

int64_t plan_bytes(AsyncEngine& engine) {
  std::promise<int64_t> promise;
  engine.between_steps([&](Engine& idle) { promise.set_value(idle.plan().total_bytes); });
  return promise.get_future().get();
}

}  // namespace

struct Server::State {
  State(ServerOptions options, std::vector<serve::ServedModel> models);

  serve::HttpHooks hooks();
  serve::ModelPoolHooks pool_hooks();
  void start_pool(std::shared_ptr<serve::LoadedModel> first);
  void tell(const char* event, int model, double seconds, const std::string& reason);
  void watch(const std::function<bool()>& stopping);
  void drain();
  bool save_conversations();

  serve::Service service;
  serve::Router router;
  serve::HttpServer http;
  std::optional<serve::FolderLock> state_lock;  // where models have folders of their own inside
  std::unique_ptr<serve::ModelPool> pool;       // after http: its events go there
  std::optional<std::chrono::steady_clock::time_point> drain_until;
};

Server::State::State(ServerOptions options, std::vector<serve::ServedModel> models)
    : service{checked(options), std::move(models), std::time(nullptr)},
      router(service),
      http(options.address, options.port, options.limits, hooks()) {
  service.post = [this](std::function<void()> work) { http.post(std::move(work)); };
  service.work = [this](std::function<void()> work) { http.work(std::move(work)); };
  if (service.several() && !options.state_folder.empty()) state_lock.emplace(options.state_folder);
}

// first: what is loaded already; null: nothing
void Server::State::start_pool(std::shared_ptr<serve::LoadedModel> first) {
  std::vector<serve::PooledModel> pooled;
  for (const serve::ServedModel& model : service.models) pooled.push_back({model.offered.name, model.plan_bytes, model.resident});
  const ServerOptions& options = service.options;
  serve::ModelPoolOptions pool_options;
  pool_options.memory_bytes = options.memory_bytes;
  pool_options.keep_alive_seconds = options.keep_alive_seconds;
  pool_options.most_waiting = options.limits.waiting;
  pool_options.most_per_owner = options.limits.per_key;
  pool = std::make_unique<serve::ModelPool>(std::move(pooled), pool_options, pool_hooks());
  if (first) pool->put(0, std::move(first));
  service.pool = pool.get();
}

serve::ModelPoolHooks Server::State::pool_hooks() {
  serve::ModelPoolHooks hooks;
  hooks.load = [this](int model, const Progress& progress) {
    return serve::load_model(service, service.models[static_cast<size_t>(model)], progress);
  };
  hooks.put_away = [](serve::LoadedModel& model) {
    if (model.conversations) model.conversations->finish(*model.engine);
  };
  hooks.freed = [] { malloc_trim(0); };  // vocabularies and templates are many small pieces, which would stay with the process
  hooks.tell = [this](const char* event, int model, double seconds, const std::string& reason) { tell(event, model, seconds, reason); };
  return hooks;
}

void Server::State::tell(const char* event, int model, double seconds, const std::string& reason) {
  const serve::ServedModel& served = service.models[static_cast<size_t>(model)];
  const std::string label = serve::label_of(served.offered.name);
  service.metrics.add("fovea_model_events_total", fmt::format("{},event=\"{}\"", label, event), 1);
  if (std::string_view(event) == "put_away") {
    service.metrics.forget("fovea_engine_", service.label(served.offered.name));
    service.metrics.forget("fovea_kv_", service.label(served.offered.name));
    service.metrics.forget("fovea_reuse_", service.label(served.offered.name));
  }
  nlohmann::ordered_json line = {
      {"time", std::time(nullptr)}, {"event", event}, {"model", served.offered.name}, {"plan_bytes", served.plan_bytes}};
  if (seconds > 0) line["ms"] = static_cast<int64_t>(seconds * 1000);
  if (!reason.empty()) line["reason"] = reason;
  service.log(line);
}

serve::HttpHooks Server::State::hooks() {
  serve::HttpHooks hooks;
  hooks.handle = [this](const serve::HttpRequest& request, const std::shared_ptr<serve::Reply>& reply) { router.handle(request, reply); };
  hooks.refused_by_head = [this](const serve::HttpRequest& head) { return router.refused_by_head(head); };
  hooks.refusal = [](int status, const std::string& message) {
    return serve::error_response({status, status == 503 ? "server_error" : "invalid_request_error", message}, serve::Dialect::openai);
  };
  hooks.done = [this](const serve::HttpOutcome& outcome) {
    service.metrics.add("fovea_http_requests_total", fmt::format("status=\"{}\"", outcome.gone ? 499 : outcome.status), 1);
    nlohmann::ordered_json line = {{"time", std::time(nullptr)},
                                   {"event", "request"},
                                   {"request", outcome.id},
                                   {"method", outcome.method},
                                   {"path", outcome.path.substr(0, 128)},
                                   {"status", outcome.status},
                                   {"ms", static_cast<int64_t>(outcome.seconds * 1000)}};
    if (outcome.gone) line["gone"] = true;
    service.log(line);
  };
  return hooks;
}

void Server::State::drain() {
  if (service.draining) return;
  service.draining = true;
  service.log({{"time", std::time(nullptr)}, {"event", "draining"}, {"under_way", http.under_way()}});
  drain_until =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(static_cast<int64_t>(service.options.limits.drain_seconds * 1000));
  http.stop_listening();
  pool->drain();
}

// False: nothing is left to be saved.
bool Server::State::save_conversations() {
  const bool idle = http.under_way() == 0;
  bool busy = false;
  for (const serve::ModelUse& use : pool->loaded()) {
    if (!use->conversations) continue;
    use->conversations->save(*use->engine, idle, idle && service.draining, use);
    busy = busy || use->conversations->busy();
  }
  return busy;
}

// Ten times a second, on the server's thread.
void Server::State::watch(const std::function<bool()>& stopping) {
  if (stopping && stopping()) drain();
  pool->expire();
  const bool saving = save_conversations();
  if (!drain_until) return;
  const bool done = http.under_way() == 0 && !saving && !pool->leaving();
  if (done || std::chrono::steady_clock::now() >= *drain_until) http.stop();
}

Server::Server(std::shared_ptr<const Model> model, const EngineOptions& engine, ServerOptions options) {
  if (options.model_name.empty()) throw Error("the model has no name", "server options", "give one");
  serve::ServedModel only = alone(model, engine, options.model_name);
  state_ = std::make_unique<State>(std::move(options), std::vector{std::move(only)});
  serve::ServedModel& served = state_->service.models[0];
  std::shared_ptr<serve::LoadedModel> loaded = serve::with_engine(state_->service, served, std::move(model));
  served.offered.engine = loaded->engine->options();
  served.plan_bytes = state_->service.options.memory_bytes = plan_bytes(*loaded->engine);
  state_->start_pool(std::move(loaded));
}

Server::Server(std::vector<OfferedModel> models, ServerOptions options) {
  std::vector<serve::ServedModel> all = looked_up(std::move(models), options);
  state_ = std::make_unique<State>(std::move(options), std::move(all));
  const serve::ServedModel& first = state_->service.models[0];
  const bool at_once = !state_->service.several();
  state_->start_pool(at_once ? serve::load_model(state_->service, first, {}) : nullptr);
}

Server::~Server() {
  state_->pool.reset();  // what it still has to say goes to a server that is there
}

std::vector<Server::Offer> Server::offers() const {
  std::vector<Offer> all;
  for (const serve::ServedModel& model : state_->service.models) all.push_back({model.offered.name, model.plan_bytes});
  return all;
}

int64_t Server::memory_bytes() const { return state_->service.options.memory_bytes; }

int Server::port() const { return state_->http.port(); }

void Server::run(const std::function<bool()>& stopping) {
  state_->http.every(kWatchSeconds, [this, stopping] { state_->watch(stopping); });
  state_->http.run();
}

void Server::stop() {
  state_->http.post([this] { state_->drain(); });
}

}  // namespace fovea
