// Tells one model's weights from another's.
#pragma once

#include <cstdint>

#include "model/spec.h"
#include "model/weights.h"

namespace fovea {

// Of the shape and a sample of every matrix and norm: the same for the same file on any machine with the same
// instruction set, and different, with all but certainty, for weights that differ as those of two models do.
uint64_t fingerprint(const model::ModelSpec& spec, const model::Weights& weights);

}  // namespace fovea
