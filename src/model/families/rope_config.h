// Rope facts as files spell them -> what make_rope needs.
#pragma once

#include <string>
#include <string_view>

#include "model/families/config_view.h"
#include "model/rope.h"

namespace fovea::model {

// errors  a scaling that this engine does not compute (dynamic, ...) is refused by its name

// GGUF: "rope.scaling.type" (linear when only a factor is given), "rope.scaling.factor", older
// "rope.scale_linear".
RopeScaling gguf_rope_scaling(const ConfigView& file);

// config.json: the object called `dict`: "rope_scaling", "rope_parameters", "rope_parameters.full_attention".
// context_tokens stands in for a missing original_max_position_embeddings.
// pairs: of rotating dimensions, for scalings that list a number for each; 0 where those are not computed.
RopeScaling hugging_face_rope_scaling(const ConfigView& file, const std::string& dict, int context_tokens, int pairs = 0);

// The share of a head that rotates: "partial_rotary_factor", there or in `dict`; 1 where it is absent.
float partial_rotary_factor(const ConfigView& file, const std::string& dict);

// One rope for the whole model. "rope_parameters" is the newer name of the object "rope_scaling", which then holds the base too.
Rope gguf_rope(const ConfigView& file, Rope::Pairing pairing, int head_dim, float base = 10'000);
Rope hugging_face_rope(const ConfigView& file, Rope::Pairing pairing, int head_dim, int context_tokens, float base = 10'000);
// The object that holds it.
std::string rope_object(const ConfigView& file);

// The rotating dimensions of a head: even, at most head_dim, which is also the default.
int gguf_rope_dims(const ConfigView& file, int head_dim);
int hugging_face_rope_dims(const ConfigView& file, const std::string& dict, int head_dim);

// base^(-2k/dims) falls from 1 with k: a base of 1 or less would not be one.
float rope_base_or(const ConfigView& file, std::string_view name, float fallback);

}  // namespace fovea::model
