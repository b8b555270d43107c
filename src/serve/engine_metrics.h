#pragma once

#include "fovea/stats.h"
#include "serve/metrics.h"

namespace fovea::serve {

// What the engine did and holds, as of now.
void note_engine(Metrics& metrics, const EngineStats& stats);

}  // namespace fovea::serve
