#pragma once

#include "files/model_files.h"
#include "fovea/model.h"
#include "model/spec.h"

namespace fovea {

ModelFacts model_facts(const model::ModelSpec& spec, const files::ModelFiles& files);

}  // namespace fovea
