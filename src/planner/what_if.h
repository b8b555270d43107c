// Facts of a model replaced by others.
#pragma once

#include "fovea/plan.h"
#include "planner/layer_table.h"

namespace fovea::planner {

// The layers, and the matrices that follow from them, as `change` says.
// errors  Error for what contradicts the model: heads that do not divide the query heads, no layer to share
// with
LayerTable changed(LayerTable table, const WhatIf& change);

}  // namespace fovea::planner
