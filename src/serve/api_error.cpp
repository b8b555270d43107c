#include "serve/api_error.h"

#include "fovea/async_engine.h"
#include "fovea/error.h"

namespace fovea::serve {
namespace {

using nlohmann::ordered_json;

ordered_json text_or_null(const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); }

// Anthropic's names for kinds of errors.
std::string anthropic_type(const ApiError& error) {
  switch (error.status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 500:
      return "api_error";
    case 503:
      return "overloaded_error";
    default:
      return "invalid_request_error";
  }
}

}  // namespace

ApiError bad_request(const std::string& message, std::string param, std::string code) {
  return {400, "invalid_request_error", message, std::move(param), std::move(code)};
}

ordered_json error_json(const ApiError& error, Dialect dialect) {
  switch (dialect) {
    case Dialect::ollama:
      return {{"error", error.what()}};
    case Dialect::anthropic:
      return {{"type", "error"}, {"error", {{"type", anthropic_type(error)}, {"message", error.what()}}}};
    default:
      return {
          {"error",
           {{"message", error.what()}, {"type", error.type}, {"param", text_or_null(error.param)}, {"code", text_or_null(error.code)}}}};
  }
}

HttpResponse error_response(const ApiError& error, Dialect dialect) {
  HttpResponse response{error.status, error_json(error, dialect).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
  if (error.status == 503 || error.status == 429) response.headers.emplace_back("Retry-After", "1");
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

ApiError as_api_error(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const ApiError& error) {
    return error;
  } catch (const QueueFull& error) {
    return {503, "server_error", error.what(), "", "overloaded"};
  } catch (const Error& error) {
    return bad_request(error.what());
  } catch (const std::bad_alloc&) {
    return {503, "server_error", "the server has no memory for this now", "", "overloaded"};
  } catch (...) {
    return {500, "server_error", "the server failed to process this request", "", "internal_error"};
  }
}

}  // namespace fovea::serve
