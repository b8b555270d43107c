// Whether two specs compute the same.
#pragma once

#include <string>

#include "model/spec.h"

namespace fovea::conversion {

// The first fact in which the computation differs, for people: "the window (4096 in the folder, none in the file) of layer 3". Empty
// where there is none. Names of tensors do not matter, nor how the pairs of a rope lie (matrices are permuted with it), nor the
// last bits of numbers.
std::string first_difference(const model::ModelSpec& folder, const model::ModelSpec& file);

// Whether two ropes turn alike.
bool same_rope(const model::Rope& a, const model::Rope& b);

}  // namespace fovea::conversion
