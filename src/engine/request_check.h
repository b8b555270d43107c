// What may be asked of an engine.
#pragma once

#include "fovea/model.h"
#include "fovea/options.h"
#include "fovea/request.h"

namespace fovea {

// options: as resolved. errors: Error, when the request can never run.
void check_request(const Request& request, const Model& model, const EngineOptions& options);

}  // namespace fovea
