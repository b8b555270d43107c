// What the engine does and holds, as JSON for the page. Numbers and places only: nothing of a prompt.
#pragma once

#include <nlohmann/json.hpp>

#include "fovea/engine.h"
#include "serve/service.h"

namespace fovea::serve {

// Of one moment between two steps.
struct EngineView {
  EngineStats stats;
  CacheMap map;
};

nlohmann::ordered_json load_json(const Service& service, const LoadedModel& model, const EngineView& view);
// Sequences and known prefixes that the caller's own requests left, or, where keys share them or none is needed, all; requests of
// the caller's key alone.
nlohmann::ordered_json cache_json(const Caller& caller, const ModelFacts& facts, const EngineView& view);

}  // namespace fovea::serve
