// The planner of a model that has been read already.
#pragma once

#include "files/model_files.h"
#include "fovea/plan.h"
#include "model/spec.h"

namespace fovea::planner {

Planner planner_of(const model::ModelSpec& spec, const files::ModelFiles& files);

}  // namespace fovea::planner
