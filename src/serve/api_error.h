// What is wrong with a request, in terms that every API has a shape for.
#pragma once

#include <exception>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "serve/http.h"

namespace fovea::serve {

struct ApiError : std::runtime_error {
  ApiError(int the_status, std::string the_type, const std::string& message, std::string the_param = "", std::string the_code = "")
      : std::runtime_error(message),
        status(the_status),
        type(std::move(the_type)),
        param(std::move(the_param)),
        code(std::move(the_code)) {}

  int status;
  std::string type;   // "invalid_request_error"
  std::string param;  // field that is meant; may be empty
  std::string code;   // "unknown_parameter"; may be empty
};

// 400, about a field.
ApiError bad_request(const std::string& message, std::string param = "", std::string code = "");

// Which API's shape errors have.
enum class Dialect { openai, ollama, anthropic };

nlohmann::ordered_json error_json(const ApiError& error, Dialect dialect);
HttpResponse error_response(const ApiError& error, Dialect dialect);

// The exception in flight, whatever it is: refusals of the engine as 400 or 503, what nobody foresaw as 500 without its text.
ApiError as_api_error(const std::exception_ptr& error);

}  // namespace fovea::serve
