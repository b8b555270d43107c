// What newer Gemma families have in common.
#pragma once

#include <vector>

#include "model/families/config_view.h"
#include "model/spec.h"

namespace fovea::model {

// Places in ModelSpec::ropes.
inline constexpr int kGlobalRope = 0;
inline constexpr int kLocalRope = 1;

// Scaled embeddings, GELU, norms before and after each part.
void gemma_scaling(ModelSpec& spec);

// The last `shared` layers read the keys and values of the last layer before them that is of their kind.
void share_last_layers(ModelSpec& spec, const std::vector<bool>& local, int shared);

// Vectors of each layer for each token, as config.json spells them; none where their width is 0 or null.
void layer_inputs(const ConfigView& file, ModelSpec& spec, int width_fallback = 256);
void gguf_layer_inputs(const ConfigView& file, ModelSpec& spec);

}  // namespace fovea::model
