// From a request's path to what answers it, and who may ask.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "serve/api_keys.h"
#include "serve/http.h"
#include "serve/page_numbers.h"
#include "serve/page_plan.h"
#include "serve/service.h"

namespace fovea::serve {

// threads  handle() from any; what it starts goes on on the server's thread
class Router {
 public:
  explicit Router(Service& service);

  void handle(const HttpRequest& request, const std::shared_ptr<Reply>& reply);
  // Of a request whose body is not there yet: whether it comes from where it may, with a key if it needs one.
  std::optional<HttpResponse> refused_by_head(const HttpRequest& head) const;

 private:
  using Route = void (Router::*)(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>&);
  using ModelRoute = void (Router::*)(const nlohmann::json& body, const Caller&, const std::shared_ptr<Reply>&);  // with Caller::model
  enum Needs { kKey, kOpen, kAnyModel };  // kOpen: no key. kAnyModel: no name of a model where there is one alone
  struct Entry {
    Entry(const char* the_method, const char* the_path, Route the_route, Needs needs = kKey)
        : method(the_method), path(the_path), route(the_route), open(needs == kOpen) {}
    Entry(const char* the_method, const char* the_path, ModelRoute the_route, Needs needs = kKey)
        : method(the_method), path(the_path), of_model(the_route), names_model(needs != kAnyModel) {}

    const char* method;
    const char* path;
    Route route = nullptr;
    ModelRoute of_model = nullptr;
    bool open = false;
    bool names_model = false;
  };

  void dispatch(const HttpRequest& request, const std::shared_ptr<Reply>& reply);
  std::string named_origin(const HttpRequest& request) const;
  bool is_preflight(const HttpRequest& request) const;
  const Entry* entry_of(const HttpRequest& request) const;
  Caller caller_of(const HttpRequest& request, bool open) const;
  void check_origin(const HttpRequest& request) const;
  // Of a name, or of a body's field "model". errors: ApiError
  int number_of(std::string name, Dialect dialect) const;
  int number_of(const nlohmann::json& body, Dialect dialect, bool needed) const;
  // Goes on when the model is there.
  void with_model(const HttpRequest& request, const Entry& entry, Caller caller, const std::shared_ptr<Reply>& reply);
  bool put_away(const std::string& path, const nlohmann::json& body, int number, const std::shared_ptr<Reply>& reply);
  nlohmann::ordered_json model_json(const ServedModel& model) const;

  void health(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void ready(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void metrics(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void models(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void one_model(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void chat(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void completions(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void responses(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void embeddings(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void tokenize(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void detokenize(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void apply_template(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void ollama_chat(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void ollama_generate(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void ollama_embed(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void ollama_tags(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void ollama_show(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void ollama_ps(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void ollama_version(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void messages(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void count_tokens(const nlohmann::json& body, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void preflight(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void page_file_of(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void look_at_engine(const HttpRequest& request, const std::shared_ptr<Reply>& reply,
                      std::function<nlohmann::ordered_json(const LoadedModel&, const EngineView&)> json_of);
  void page_info_of(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void page_load(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void page_cache(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void page_plan(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);

  static const Entry kRoutes[];
  static const Entry kPageFile;  // of every path of page_files()

  Service& service_;
  ApiKeys keys_;
  PagePlanner planner_;
};

Dialect dialect_of(std::string_view path);  // of the API that the path belongs to

}  // namespace fovea::serve
