// Refuses sampling options that mean nothing.
#pragma once

#include <cstdint>
#include <span>

#include "fovea/request.h"

namespace fovea::sampling {

// errors: Error naming the option, its value and its range; also for prompt or bias tokens outside the
// vocabulary
void check_options(const SamplingOptions& options, int vocabulary, std::span<const int32_t> prompt);

}  // namespace fovea::sampling
