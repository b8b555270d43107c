#include "serve/page.h"

#include <algorithm>

namespace fovea::serve {
namespace {

// Everything comes from this server, nothing runs that is not a file of the page, and no other site shows it in a frame. What becomes
// HTML (answers) has gone through the sanitizer's policy.
constexpr const char* kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action "
    "'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify";

// Of a list such as "br, gzip;q=0.5"; a weight of 0 says that it is not.
bool takes_gzip(std::string_view accepted) {
  const size_t at = accepted.find("gzip");
  if (at == std::string_view::npos) return false;
  const std::string_view weight = accepted.substr(at + 4, accepted.find(',', at) - at - 4);
  return weight.find("q=0") == std::string_view::npos || weight.find_first_of("123456789") != std::string_view::npos;
}

Headers headers_of(const PageFile& file) {
  return {{"ETag", std::string(file.etag)},
          {"Cache-Control", file.named_by_content ? "public, max-age=31536000, immutable" : "no-cache"},
          {"Vary", "Accept-Encoding"},
          {"Content-Security-Policy", kContentPolicy},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Referrer-Policy", "no-referrer"},
          {"X-Content-Type-Options", "nosniff"}};
}

}  // namespace

const PageFile* page_file(std::string_view path) {
  const std::span<const PageFile> files = page_files();
  const auto found = std::find_if(files.begin(), files.end(), [&](const PageFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

HttpResponse page_response(const PageFile& file, const HttpRequest& request) {
  HttpResponse response = {200, "", std::string(file.content_type), headers_of(file)};
  if (request.header("if-none-match").find(file.etag) != std::string_view::npos) {
    response.status = 304;
    return response;
  }
  const bool gzip = takes_gzip(request.header("accept-encoding"));
  if (gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  response.body = gzip ? file.gzip : file.content;
  return response;
}

nlohmann::ordered_json page_info(const Service& service) {
  nlohmann::ordered_json models = nlohmann::ordered_json::array();
  for (const ServedModel& model : service.models) {
    const EngineOptions& options = model.offered.engine;
    models.push_back({{"model", model.offered.name},
                      {"name", model.facts.name},
                      {"family", model.facts.family},
                      {"chat", model.has_chat_template},
                      {"context_tokens", options.context_tokens},
                      {"sequences", options.sequences},
                      {"threads", options.threads},
                      {"kv_local", name_of(options.kv_local)},
                      {"kv_global", name_of(options.kv_global)}});
  }
  nlohmann::ordered_json info = models[0];
  info["version"] = FOVEA_VERSION;
  info["output_tokens"] = service.options.limits.output_tokens;
  const ModelUse first = service.pool->look_at(0);
  info["kernels"] = first ? first->model->kernels() : "";
  info["models"] = std::move(models);
  return info;
}

}  // namespace fovea::serve
