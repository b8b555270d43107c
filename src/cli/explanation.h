// A model in plain words.
#pragma once

#include <string>

#include "fovea/model.h"

namespace fovea::cli {

// A strip with one letter per layer, then for each kind of layer what it sees, what it keeps, and with whom it shares.
std::string explanation_of(const ModelFacts& facts);

}  // namespace fovea::cli
