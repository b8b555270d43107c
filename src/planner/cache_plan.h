// Bytes of keys and values, by group.
#pragma once

#include <vector>

#include "fovea/plan.h"
#include "kv/spec.h"
#include "planner/layer_table.h"

namespace fovea::planner {

// REQUIRES options as resolved() (planner.h) returns them. Groups in the order of their first layers.
std::vector<PlanGroup> plan_groups(const std::vector<LayerRow>& layers, const PlanOptions& options);

// What a cache of these layers is asked for; in bf16 where the engine does not have the codec yet.
std::vector<kv::GroupSpec> cache_groups(const std::vector<LayerRow>& layers, const PlanOptions& options);

}  // namespace fovea::planner
