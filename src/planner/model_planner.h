// The planner of a model that has been read already.
#pragma once

#include "files/tensor_table.h"
#include "fovea/plan.h"
#include "model/spec.h"

namespace fovea::planner {

Planner planner_of(const model::ModelSpec& spec, const files::TensorTable& tensors);

}  // namespace fovea::planner
