// The families of models this engine knows: one file each, declared here and listed in registry.cpp.
#pragma once

#include "model/registry.h"

namespace fovea::model {

Family gemma3_family();
Family llama_family();

}  // namespace fovea::model
