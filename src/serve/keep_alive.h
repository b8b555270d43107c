// Ollama's keep_alive: how long a model stays loaded after a request.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace fovea::serve {

// "5m", "1h30m", "-1s", "0": seconds, as Go's time.ParseDuration reads them (pkg.go.dev/time#ParseDuration). None: it is no duration
std::optional<double> duration_seconds(std::string_view text);

// Of a request's field "keep_alive": a number of seconds, or a duration; negative: for ever. None: there is no such field.
// errors: ApiError
std::optional<double> keep_alive_of(const nlohmann::json& body);

}  // namespace fovea::serve
