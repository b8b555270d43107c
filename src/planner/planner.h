// The table of a model -> its plan.
#pragma once

#include "fovea/plan.h"
#include "planner/layer_table.h"

namespace fovea::planner {

// Options as the engine resolves them: no zeros left.
// errors  Error for what no engine accepts
PlanOptions resolved(PlanOptions options, const LayerTable& table);

Plan make_plan(const LayerTable& table, const PlanOptions& options);

}  // namespace fovea::planner

namespace fovea {

struct Planner::State {
  planner::LayerTable table;
};

}  // namespace fovea
