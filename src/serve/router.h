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
  struct Entry {
    const char* method;
    const char* path;
    Route route;
    bool open;  // without a key
  };

  void dispatch(const HttpRequest& request, const std::shared_ptr<Reply>& reply);
  std::string named_origin(const HttpRequest& request) const;
  bool is_preflight(const HttpRequest& request) const;
  const Entry* entry_of(const HttpRequest& request) const;
  Caller caller_of(const HttpRequest& request, bool open) const;
  void check_origin(const HttpRequest& request) const;
  void check_model(const nlohmann::json& body, Dialect dialect = Dialect::openai) const;
  nlohmann::ordered_json model_json() const;

  void health(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void ready(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void metrics(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void models(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void one_model(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void chat(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void completions(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void responses(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void embeddings(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void tokenize(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void detokenize(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void apply_template(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void ollama_chat(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void ollama_generate(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void ollama_embed(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void ollama_tags(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void ollama_show(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void ollama_ps(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void ollama_version(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void messages(const HttpRequest& request, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void count_tokens(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void preflight(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void page_file_of(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);
  void look_at_engine(const std::shared_ptr<Reply>& reply, std::function<nlohmann::ordered_json(const EngineView&)> json_of);
  void page_info_of(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void page_load(const HttpRequest&, const Caller&, const std::shared_ptr<Reply>& reply);
  void page_cache(const HttpRequest&, const Caller& caller, const std::shared_ptr<Reply>& reply);
  void page_plan(const HttpRequest& request, const Caller&, const std::shared_ptr<Reply>& reply);

  static const Entry kRoutes[];
  static const Entry kPageFile;  // of every path of page_files()

  Service& service_;
  ApiKeys keys_;
  PagePlanner planner_;
};

Dialect dialect_of(std::string_view path);  // of the API that the path belongs to

}  // namespace fovea::serve
