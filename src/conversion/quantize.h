// Numbers -> the formats in which weights are stored (docs/formats.md lists the layouts).
#pragma once

#include <cstddef>
#include <span>

#include "base/number_format.h"

namespace fovea::conversion {

bool can_quantize(NumberFormat format);  // all but formats that are only read

// Consecutive values of one row; each block is a function of its own values only.
// REQUIRES can_quantize(format), a whole number of blocks, finite values; out has room for them
void quantize(NumberFormat format, std::span<const float> values, std::byte* out);

}  // namespace fovea::conversion
