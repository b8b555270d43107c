#pragma once

#include <string>

#include "fovea/stats.h"
#include "serve/metrics.h"

namespace fovea::serve {

// What the engine did and holds, as of now. label: as LoadedModel::label
void note_engine(Metrics& metrics, const std::string& label, const EngineStats& stats);

}  // namespace fovea::serve
