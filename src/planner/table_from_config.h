// config.json of a family that this engine does not compute -> the table of a plan.
#pragma once

#include "files/metadata.h"
#include "planner/layer_table.h"

namespace fovea::planner {

// By the keys that published configurations share: sizes, heads, windows, kinds of layers, shared and
// compressed keys and values, experts, recurrent layers. errors  Error naming the key when a size is missing
// or absurd
LayerTable table_of_config(const files::Metadata& config);

}  // namespace fovea::planner
