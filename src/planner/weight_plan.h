// Bytes of weights, by kind.
#pragma once

#include <string>
#include <vector>

#include "fovea/plan.h"
#include "planner/layer_table.h"

namespace fovea::planner {

// Gives every matrix the format that a quantization ("q4_k_m") or a plain format ("q4_k", "f16") chooses for
// it. errors  Error listing the names when there is no such format
void choose_formats(LayerTable& table, const std::string& name);

// Packed as the kernels read them. Kinds that the model lacks are left out.
std::vector<PlanWeights> plan_weights(const LayerTable& table);

// "q4_k, q6_k": the formats of matrices, the one with the most bytes first.
std::string formats_text(const LayerTable& table);

}  // namespace fovea::planner
