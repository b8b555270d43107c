// Which model a request is for, and what is told of models.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <ctime>

#include "serve/engine_metrics.h"
#include "serve/json_fields.h"
#include "serve/keep_alive.h"
#include "serve/router.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Clock = ModelPool::Clock;

constexpr std::string_view kModelPath = "/v1/models/", kLatest = ":latest";
constexpr const char* kNever = "2299-12-31T23:59:59Z";

std::string time_text(std::time_t time) { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(time)); }

void send_json(const std::shared_ptr<Reply>& reply, const ordered_json& object, int status = 200) {
  reply->send({status, text_of(object)});
}

ApiError unknown_model(const std::string& name, Dialect dialect) {
  const std::string shown = name.substr(0, 128);
  if (dialect == Dialect::ollama) return {404, "", fmt::format("model '{}' not found", shown)};
  if (dialect == Dialect::anthropic) return {404, "", "model: " + shown};
  return {404, "invalid_request_error", fmt::format("The model '{}' does not exist or you do not have access to it.", shown), "model",
          "model_not_found"};
}

bool is_empty(const json& body, const char* field) {
  const auto found = body.find(field);
  return found == body.end() || found->empty() || *found == "";
}

ordered_json details(const ModelFacts& facts) {
  const auto values = static_cast<double>(facts.tensors.values);
  std::string quantization;
  int64_t most = 0;
  for (const auto& [format, totals] : facts.tensors_by_format) {
    if (totals.bytes <= most) continue;
    most = totals.bytes;
    quantization = format;
  }
  std::transform(quantization.begin(), quantization.end(), quantization.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return {{"parent_model", ""},
          {"format", facts.path.ends_with(".gguf") ? "gguf" : "safetensors"},
          {"family", facts.family},
          {"families", {facts.family}},
          {"parameter_size", values < 1e9 ? fmt::format("{:.2f}M", values / 1e6) : fmt::format("{:.1f}B", values / 1e9)},
          {"quantization_level", quantization}};
}

}  // namespace

// By names alone: what a request says is never looked for among files.
int Router::number_of(std::string name, Dialect dialect) const {
  if (dialect == Dialect::ollama && name.ends_with(kLatest)) name.resize(name.size() - kLatest.size());
  const auto found =
      std::find_if(service_.models.begin(), service_.models.end(), [&](const ServedModel& model) { return model.offered.name == name; });
  if (found == service_.models.end()) throw unknown_model(name, dialect);
  return static_cast<int>(found - service_.models.begin());
}

int Router::number_of(const json& body, Dialect dialect, bool needed) const {
  Fields fields(body, "", dialect);
  if (!needed && !service_.several()) return 0;
  fields.require("model");
  return number_of(*fields.text("model"), dialect);
}

void Router::with_model(const HttpRequest& request, const Entry& entry, Caller caller, const std::shared_ptr<Reply>& reply) {
  const auto body = std::make_shared<const json>(parse_body(request.body));
  const Dialect dialect = dialect_of(request.path);
  ModelWish wish;
  wish.model = number_of(*body, dialect, entry.names_model);
  wish.owner = caller.key;
  wish.deadline = caller.deadline =
      Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(service_.options.limits.request_seconds * 1000));
  if (dialect == Dialect::ollama) wish.keep_alive_seconds = keep_alive_of(*body);
  if (service_.options.api_keys.size() > 1) wish.keep_alive_seconds.reset();  // nobody takes others' models away, or keeps them from theirs
  if (wish.keep_alive_seconds == 0 && put_away(request.path, *body, wish.model, reply)) return;
  const auto begin = [this, route = entry.of_model, body, asking = caller, reply, dialect, since = Clock::now()](ModelUse use) {
    Caller with = asking;
    with.model = std::move(use);
    with.load_seconds = std::chrono::duration<double>(Clock::now() - since).count();
    try {
      (this->*route)(*body, with, reply);
    } catch (...) {
      reply->send(error_response(as_api_error(std::current_exception()), dialect));
    }
  };
  if (ModelUse use = service_.pool->use_now(wish)) return begin(std::move(use));
  const ModelPool::WaitId wait = service_.pool->wait(wish, [this, begin, reply, dialect](ModelUse use, std::exception_ptr error) {
    service_.work([begin, use = std::move(use), error = std::move(error), reply, dialect] {
      if (error) reply->send(error_response(as_api_error(error), dialect));
      else begin(use);
    });
  });
  reply->when_gone([pool = service_.pool, wait] { pool->cancel(wait); });
}

// A request of Ollama's that asks for nothing but keep_alive 0: how clients have a model put away.
bool Router::put_away(const std::string& path, const json& body, int number, const std::shared_ptr<Reply>& reply) {
  const ServedModel& model = service_.models[static_cast<size_t>(number)];
  if (model.resident || !is_empty(body, "prompt") || !is_empty(body, "messages") || !is_empty(body, "input")) return false;
  service_.pool->let_go(number);
  ordered_json object = {{"model", model.offered.name}, {"created_at", time_text(std::time(nullptr))}};
  if (path == "/api/chat") object["message"] = {{"role", "assistant"}, {"content", ""}};
  else if (path == "/api/embed") object["embeddings"] = json::array();
  else object["response"] = "";
  object["done_reason"] = "unload";
  object["done"] = true;
  send_json(reply, object);
  return true;
}

void Router::ready(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply) {
  service_.post([this, reply] {
    int active = 0, sequences = 0;
    for (const ModelUse& use : service_.pool->loaded()) {
      active += use->engine->active();
      sequences += use->engine->options().sequences;
    }
    const int waiting = service_.pool->waiting(), most = service_.options.limits.waiting;
    const int room = service_.several() ? most - waiting : sequences + most - active;
    const bool ready = !service_.draining && room > 0;
    const char* status = ready ? "ready" : service_.draining ? "draining" : "full";
    ordered_json object = {{"status", status}, {"requests", active}, {"sequences", sequences}, {"room", std::max(0, room)}};
    if (service_.several()) object["waiting_for_models"] = waiting;
    send_json(reply, object, ready ? 200 : 503);
  });
}

void Router::metrics(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply) {
  const ModelPool& pool = *service_.pool;
  service_.metrics.set("fovea_models_limit_bytes", "", static_cast<double>(pool.options().memory_bytes));
  service_.metrics.set("fovea_models_planned_bytes", "", static_cast<double>(pool.planned_bytes()));
  service_.metrics.set("fovea_models_waiting", "", pool.waiting());
  const auto send = [this, reply] { reply->send({200, service_.metrics.text(), "text/plain; version=0.0.4; charset=utf-8"}); };
  const std::vector<ModelUse> loaded = service_.pool->loaded();
  if (loaded.empty()) return send();
  const auto left = std::make_shared<std::atomic<size_t>>(loaded.size());
  for (const ModelUse& use : loaded) {
    use->engine->between_steps([this, use, left, send](Engine& engine) {
      note_engine(service_.metrics, use->label, engine.stats());
      if (--*left == 0) send();
    });
  }
}

ordered_json Router::model_json(const ServedModel& model) const {
  return {{"id", model.offered.name},
          {"object", "model"},
          {"created", service_.created},
          {"owned_by", "fovea"},
          {"max_model_len", model.offered.engine.context_tokens}};
}

void Router::models(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply) {
  ordered_json data = ordered_json::array();
  for (const ServedModel& model : service_.models) data.push_back(model_json(model));
  send_json(reply, {{"object", "list"}, {"data", std::move(data)}});
}

void Router::one_model(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply) {
  const int number = number_of(request.path.substr(kModelPath.size()), Dialect::openai);
  send_json(reply, model_json(service_.models[static_cast<size_t>(number)]));
}

void Router::ollama_tags(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply) {
  ordered_json list = ordered_json::array();
  for (const ServedModel& model : service_.models) {
    list.push_back({{"name", model.offered.name},
                    {"model", model.offered.name},
                    {"modified_at", time_text(service_.created)},
                    {"size", model.facts.tensors.bytes},
                    {"digest", ""},
                    {"details", details(model.facts)}});
  }
  send_json(reply, {{"models", std::move(list)}});
}

void Router::ollama_ps(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply) {
  ordered_json list = ordered_json::array();
  for (size_t i = 0; i < service_.models.size(); ++i) {
    const ModelPool::Status status = service_.pool->status(static_cast<int>(i));
    if (std::string_view(status.state) != "loaded") continue;
    const ServedModel& model = service_.models[i];
    const std::time_t now = std::time(nullptr);
    list.push_back({{"name", model.offered.name},
                    {"model", model.offered.name},
                    {"size", model.plan_bytes},
                    {"digest", ""},
                    {"details", details(model.facts)},
                    {"expires_at",
                     status.seconds_left ? time_text(now + static_cast<std::time_t>(std::clamp(*status.seconds_left, 0.0, 1e9))) : kNever},
                    {"size_vram", 0},
                    {"context_length", model.offered.engine.context_tokens}});
  }
  send_json(reply, {{"models", std::move(list)}});
}

void Router::ollama_show(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply) {
  const json body = parse_body(request.body);
  const int number = number_of(body.contains("model") ? body : json{{"model", body.value("name", json())}}, Dialect::ollama, true);
  const ModelFacts& facts = service_.models[static_cast<size_t>(number)].facts;
  ordered_json info = {{"general.architecture", facts.family}, {"general.parameter_count", facts.tensors.values}};
  info[facts.family + ".context_length"] = facts.context_tokens;
  info[facts.family + ".embedding_length"] = facts.hidden;
  info[facts.family + ".block_count"] = facts.layers.size();
  send_json(reply, {{"modelfile", ""},
                    {"parameters", ""},
                    {"template", ""},
                    {"details", details(facts)},
                    {"model_info", info},
                    {"capabilities", {"completion", "tools"}},
                    {"modified_at", time_text(service_.created)}});
}

}  // namespace fovea::serve
