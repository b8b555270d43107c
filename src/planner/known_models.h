// Configurations of published models, as data.
#pragma once

#include <string_view>

#include "planner/layer_table.h"

namespace fovea::planner {

// The table of a configuration; nullopt when no such name is built in.
std::optional<LayerTable> known_table(std::string_view name);

}  // namespace fovea::planner
