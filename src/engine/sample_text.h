// Tokens of a short text that every engine has, for measuring what a model's keys are like (model/key_shifts.h).
#pragma once

#include <cstdint>
#include <vector>

#include "fovea/model.h"

namespace fovea {

// The same for the same model. Some hundred tokens; of a model without a tokenizer, any.
std::vector<int32_t> sample_tokens(const Model& model);

}  // namespace fovea
