// The layers of a model as people read them.
#pragma once

#include <string>
#include <vector>

#include "fovea/model.h"

namespace fovea::cli {

// One line per kind of layer, in order of first appearance; layers that differ only in their index share a
// line
// ("0-4, 6-10").
std::string layer_table(const std::vector<LayerFacts>& layers);

// What the cache of one sequence takes, with f16: per token, and where local layers stop growing.
std::string cache_summary(const std::vector<LayerFacts>& layers);

// {0, 1, 2, 5} -> "0-2, 5"
std::string ranges_text(const std::vector<int>& ascending);

}  // namespace fovea::cli
