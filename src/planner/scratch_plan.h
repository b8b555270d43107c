// Memory that a step computes in.
#pragma once

#include "fovea/plan.h"
#include "planner/layer_table.h"

namespace fovea::planner {

// REQUIRES options as resolved() returns them.
int64_t plan_scratch(const LayerTable& table, const PlanOptions& options);

}  // namespace fovea::planner
