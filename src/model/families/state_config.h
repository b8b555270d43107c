// State-space facts as files spell them.
#pragma once

#include <string>

#include "model/families/config_view.h"
#include "model/spec.h"

namespace fovea::model {

// GGUF "ssm.*". scalar: the form with one decay per head.
StateSpec gguf_state(const ConfigView& file, bool scalar);
void gguf_state_names(TensorNames& names, bool scalar);

// config.json: tensors below "<block>.": "backbone.layers.%d.mixer".
void state_names(TensorNames& names, const std::string& block, bool scalar);

// The products of these sizes are checked too.
void check_state(const ConfigView& file, const StateSpec& state, const char* key);

}  // namespace fovea::model
