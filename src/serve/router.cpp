#include "serve/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "fovea/error.h"
#include "serve/call_fields.h"
#include "serve/openai_answer.h"
#include "serve/page.h"
#include "serve/page_numbers.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kModelPath = "/v1/models/";

void send_json(const std::shared_ptr<Reply>& reply, const ordered_json& object, int status = 200) {
  reply->send({status, text_of(object)});
}

// "localhost:8080" -> "localhost", "[::1]:80" -> "[::1]"
std::string_view host_name(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);  // not closed: nothing
  return authority.substr(0, authority.find(':'));
}

// An address, or the name that is everybody's own: no site can have it for a name. Names of digits and dots alone are addresses.
bool names_no_site(std::string_view host) {
  const bool is_v4 = !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
  const bool is_v6 = host.starts_with('[') && host.ends_with(']');
  return host == "localhost" || is_v4 || is_v6;
}

std::string_view without_scheme(std::string_view origin) {
  const size_t at = origin.find("://");
  return at == std::string_view::npos ? origin : origin.substr(at + 3);
}

// What browsers want to see in every reply to a page of another origin.
HttpResponse with_origin(HttpResponse response, const std::string& origin) {
  response.headers.emplace_back("Access-Control-Allow-Origin", origin);
  response.headers.emplace_back("Access-Control-Expose-Headers", "X-Fovea-Cache, X-Request-Id");
  response.headers.emplace_back("Vary", "Origin");
  return response;
}

PagePlanner::Models own_models(const Service& service) {
  PagePlanner::Models models;
  for (const ServedModel& model : service.models) models.emplace_back(model.offered.name, model.facts.path);
  return models;
}

class CorsReply : public Reply {
 public:
  CorsReply(std::shared_ptr<Reply> reply, std::string origin) : reply_(std::move(reply)), origin_(std::move(origin)) {}

  void send(HttpResponse response) override { reply_->send(with_origin(std::move(response), origin_)); }
  void open(HttpResponse head) override { reply_->open(with_origin(std::move(head), origin_)); }
  void write(std::string piece) override { reply_->write(std::move(piece)); }
  void close() override { reply_->close(); }
  void when_gone(std::function<void()> gone) override { reply_->when_gone(std::move(gone)); }

 private:
  std::shared_ptr<Reply> reply_;
  std::string origin_;
};

}  // namespace

const Router::Entry Router::kRoutes[] = {
    {"GET", "/health", &Router::health, kOpen},
    {"GET", "/ready", &Router::ready, kOpen},
    {"GET", "/metrics", &Router::metrics},
    {"GET", "/v1/models", &Router::models},
    {"POST", "/v1/chat/completions", &Router::chat},
    {"POST", "/v1/completions", &Router::completions},
    {"POST", "/v1/responses", &Router::responses},
    {"POST", "/v1/embeddings", &Router::embeddings},
    {"POST", "/v1/messages", &Router::messages},
    {"POST", "/v1/messages/count_tokens", &Router::count_tokens},
    {"POST", "/api/chat", &Router::ollama_chat},
    {"POST", "/api/generate", &Router::ollama_generate},
    {"POST", "/api/embed", &Router::ollama_embed},
    {"GET", "/api/tags", &Router::ollama_tags},
    {"POST", "/api/show", &Router::ollama_show},
    {"GET", "/api/ps", &Router::ollama_ps},
    {"GET", "/api/version", &Router::ollama_version},
    {"POST", "/tokenize", &Router::tokenize, kAnyModel},
    {"POST", "/detokenize", &Router::detokenize, kAnyModel},
    {"POST", "/apply-template", &Router::apply_template, kAnyModel},
    {"GET", "/page/info", &Router::page_info_of},
    {"GET", "/page/load", &Router::page_load},
    {"POST", "/page/load", &Router::page_load},
    {"GET", "/page/cache", &Router::page_cache},
    {"POST", "/page/cache", &Router::page_cache},
    {"POST", "/page/plan", &Router::page_plan},
};
const Router::Entry Router::kPageFile = {"GET", "", &Router::page_file_of, kOpen};

Dialect dialect_of(std::string_view path) {
  if (path.starts_with("/api/")) return Dialect::ollama;
  return path.starts_with("/v1/messages") ? Dialect::anthropic : Dialect::openai;
}

Router::Router(Service& service) : service_(service), keys_(service.options.api_keys), planner_(own_models(service)) {}

// Of pages that may ask; empty: it comes from no such page.
std::string Router::named_origin(const HttpRequest& request) const {
  const std::string_view origin = request.header("origin");
  return origin == service_.options.cors_origin ? std::string(origin) : "";
}

bool Router::is_preflight(const HttpRequest& request) const { return request.method == "OPTIONS" && !service_.options.cors_origin.empty(); }

const Router::Entry* Router::entry_of(const HttpRequest& request) const {
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  const auto found = std::find_if(std::begin(kRoutes), std::end(kRoutes),
                                  [&](const Entry& entry) { return request.path == entry.path && method == entry.method; });
  if (found != std::end(kRoutes)) return found;
  return method == kPageFile.method && page_file(request.path) ? &kPageFile : nullptr;
}

void Router::handle(const HttpRequest& request, const std::shared_ptr<Reply>& plain) {
  std::shared_ptr<Reply> reply = plain;
  try {
    const std::string origin = named_origin(request);
    if (!origin.empty()) reply = std::make_shared<CorsReply>(plain, origin);
    dispatch(request, reply);
  } catch (...) {
    reply->send(error_response(as_api_error(std::current_exception()), dialect_of(request.path)));
  }
}

std::optional<HttpResponse> Router::refused_by_head(const HttpRequest& head) const {
  try {
    check_origin(head);
    const Entry* entry = entry_of(head);
    if (!is_preflight(head)) caller_of(head, entry && entry->open);
    return std::nullopt;
  } catch (...) {
    HttpResponse refusal = error_response(as_api_error(std::current_exception()), dialect_of(head.path));
    const std::string origin = named_origin(head);
    return origin.empty() ? refusal : with_origin(std::move(refusal), origin);
  }
}

void Router::dispatch(const HttpRequest& request, const std::shared_ptr<Reply>& reply) {
  check_origin(request);
  if (is_preflight(request)) return preflight(request, {}, reply);
  if (const Entry* entry = entry_of(request)) {
    const Caller caller = caller_of(request, entry->open);
    return entry->of_model ? with_model(request, *entry, caller, reply) : (this->*entry->route)(request, caller, reply);
  }
  const Caller caller = caller_of(request, false);
  const bool gets = request.method == "GET" || request.method == "HEAD";
  if (gets && request.path.starts_with(kModelPath)) return one_model(request, caller, reply);
  const bool known = page_file(request.path) ||
                     std::any_of(std::begin(kRoutes), std::end(kRoutes), [&](const Entry& entry) { return request.path == entry.path; });
  if (known)
    throw ApiError(405, "invalid_request_error",
                   fmt::format("Not allowed to {} on {}.", request.method.substr(0, 16), request.path.substr(0, 128)));
  throw ApiError(404, "invalid_request_error",
                 fmt::format("Unknown request URL: {} {}. See docs/serve.md for those that there are.", request.method.substr(0, 16),
                             request.path.substr(0, 128)),
                 "", "unknown_url");
}

// Pages of other sites can make a browser send requests here: these are told by their Origin, or, where a site calls this machine by a
// name of its own, by their Host.
void Router::check_origin(const HttpRequest& request) const {
  const std::string_view origin = request.header("origin"), host = request.header("host");
  if (!origin.empty() && origin != service_.options.cors_origin && without_scheme(origin) != host) {
    throw ApiError(403, "invalid_request_error", "Pages of this origin may not ask; --cors names one that may.", "", "forbidden_origin");
  }
  if (!keys_.required() && !host.empty() && !names_no_site(host_name(host))) {
    throw ApiError(403, "invalid_request_error", "Without API keys, only localhost and addresses are taken as Host.", "", "forbidden_host");
  }
}

Caller Router::caller_of(const HttpRequest& request, bool open) const {
  Caller caller;
  caller.request_id = request.id;
  if (open || !keys_.required()) return caller;
  std::string_view presented = bearer(request.header("authorization"));
  if (presented.empty()) presented = request.header("x-api-key");
  if (presented.empty()) {
    throw ApiError(401, "invalid_request_error",
                   "You didn't provide an API key. Provide it in an Authorization header using Bearer auth "
                   "(i.e. Authorization: Bearer YOUR_KEY).");
  }
  const std::optional<int> key = keys_.find(presented);
  if (!key) throw ApiError(401, "invalid_request_error", "Incorrect API key provided.", "", "invalid_api_key");
  caller.key = *key;
  if (!service_.options.share_cache) caller.salt = "key " + keys_.fingerprint(*key);
  return caller;
}

void Router::preflight(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply) {
  reply->send({204,
               "",
               "",
               {{"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
                {"Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key"},
                {"Access-Control-Max-Age", "600"}}});
}

void Router::health(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply) { send_json(reply, {{"status", "ok"}}); }

void Router::chat(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  std::vector<OpenAiCall> calls = {
      chat_call(body, {*caller.model->prompts, service_.options.limits, caller.key, caller.salt, service_.options.prompt_lookup})};
  service_.post([this, caller, calls = std::move(calls), reply] { answer_openai(service_, caller, calls, reply); });
}

void Router::completions(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  std::vector<OpenAiCall> calls =
      completion_calls(body, {*caller.model->prompts, service_.options.limits, caller.key, caller.salt, service_.options.prompt_lookup});
  service_.post([this, caller, calls = std::move(calls), reply] { answer_openai(service_, caller, calls, reply); });
}

void Router::tokenize(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body);
  fields.ignore("model");
  fields.require("content");
  const std::string text = *fields.text("content");
  const bool bos = fields.boolean("add_special").value_or(false), special = fields.boolean("parse_special").value_or(true);
  fields.refuse_others();
  const std::vector<int32_t> tokens = caller.model->prompts->tokens(text, bos, special);
  send_json(reply, {{"tokens", tokens}, {"count", tokens.size()}});
}

void Router::detokenize(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body);
  fields.ignore("model");
  const json& list = fields.require("tokens");
  if (!list.is_array()) fields.wrong_type("tokens", "an array of integers");
  fields.refuse_others();
  if (const int most = caller.model->prompts->context_tokens(); list.size() > static_cast<size_t>(most)) {
    throw bad_request(fmt::format("This model's maximum context length is {} tokens. However, you gave {}.", most, list.size()), "tokens",
                      "context_length_exceeded");
  }
  const std::vector<int32_t> tokens = token_list(list, *caller.model->model, "tokens");
  send_json(reply, {{"content", caller.model->model->detokenize(tokens, true)}});  // an Error for what has no text
}

void Router::apply_template(const json& body, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  Fields fields(body);
  fields.ignore("model");
  const std::vector<ChatTurn> turns = chat_turns(fields.require("messages"), "messages");
  const std::shared_ptr<const ToolSet> tools = openai_tools(fields);
  fields.refuse_others();
  send_json(reply, {{"prompt", caller.model->prompts->text(turns, tools ? tools->for_template() : "")}});
}

void Router::page_file_of(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply) {
  reply->send(page_response(*page_file(request.path), request));
}

void Router::page_info_of(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply) {
  ordered_json info = page_info(service_);
  info["planner"] = planner_.choices();
  send_json(reply, info);
}

// Of the model that a body names, or the first. Between two steps only what is there is noted: what is made of it is made where nobody
// waits for it.
void Router::look_at_engine(const HttpRequest& request, const std::shared_ptr<Reply>& reply,
                            std::function<ordered_json(const LoadedModel&, const EngineView&)> json_of) {
  const int number = request.body.empty() ? 0 : number_of(parse_body(request.body), Dialect::openai, true);
  const ModelUse use = service_.pool->look_at(number);
  if (!use) return send_json(reply, {{"loaded", false}, {"state", service_.pool->status(number).state}});
  use->engine->between_steps([this, use, reply, json_of = std::move(json_of)](Engine& engine) {
    service_.post([use, reply, json_of, view = EngineView{engine.stats(), engine.cache_map()}] {
      try {
        send_json(reply, json_of(*use, view));
      } catch (...) {
        reply->send(error_response(as_api_error(std::current_exception()), Dialect::openai));
      }
    });
  });
}

void Router::page_load(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply) {
  look_at_engine(request, reply, [this](const LoadedModel& model, const EngineView& view) { return load_json(service_, model, view); });
}

void Router::page_cache(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply) {
  look_at_engine(request, reply,
                 [caller](const LoadedModel& model, const EngineView& view) { return cache_json(caller, model.model->facts(), view); });
}

void Router::page_plan(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply) {
  try {
    send_json(reply, planner_.plan(parse_body(request.body)));
  } catch (const Error& error) {  // without the place, which is a file of the server's
    throw bad_request(error.problem());
  }
}

}  // namespace fovea::serve
