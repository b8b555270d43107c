// The formats of matrices by the name that a user gave for them.
#pragma once

#include <optional>
#include <string>

#include "synthesis/quantization.h"

namespace fovea::conversion {

// Empty: none, matrices stay as they are.
// errors  Error for an unknown name, and for formats that are only read
std::optional<synthesis::WeightFormats> weight_formats(const std::string& quant);

}  // namespace fovea::conversion
