// What `fovea inspect --session` says.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fovea/session.h"

namespace fovea::cli {

// `misfit`: why it cannot be continued with the model that was asked about, empty if it can; none: nobody asked.
std::string session_text(const SessionFacts& session, const std::optional<std::string>& misfit);
nlohmann::ordered_json session_json(const SessionFacts& session, const std::optional<std::string>& misfit);

}  // namespace fovea::cli
