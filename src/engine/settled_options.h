// The options of an engine with nothing left open: zeros filled in, codecs chosen, the cache's size settled, and all of it fitting the
// machine.
#pragma once

#include "fovea/engine_plan.h"
#include "fovea/model.h"
#include "fovea/options.h"
#include "fovea/plan.h"
#include "kv/cache.h"
#include "model/spec.h"

namespace fovea {

// errors: Error for options out of range, that the model cannot have, or that do not fit: with the plan and settings that do. Weights and
// vocabulary are there already; nothing else has been reserved.
EngineOptions settled_options(EngineOptions options, const Model& model);

// What the cache is asked for these options; the planner: engine_plan.h.
kv::CacheOptions cache_options(const EngineOptions& options);

// Keys that move to other positions are turned where they are stored; codes of narrow codecs cannot be. errors: Error at `place`
void require_turning_keys(const EngineOptions& options, const model::ModelSpec& spec, const char* place);

}  // namespace fovea
