// What an engine will take, known before its model is loaded.
#pragma once

#include <cstdint>

#include "fovea/options.h"
#include "fovea/plan.h"

namespace fovea {

// What the planner is asked for these options.
PlanOptions plan_options(const EngineOptions& options);

struct EnginePlan {
  EngineOptions options;  // with nothing left open: an engine of these has exactly this plan
  Plan plan;
};

// Of an engine that has `memory_bytes` to itself, model included. What is kept for requests to come is as much again as sequences need,
// where options leave it open, or half of what is left. errors: Error with the plan and settings that fit, when it does not; and for
// options that no model can have
EnginePlan plan_engine(const Planner& planner, EngineOptions options, int64_t memory_bytes);

}  // namespace fovea
