// Layers x positions of a cache as HTML with SVG: what is held, by how many, and where requests can continue.
#pragma once

#include <string>
#include <string_view>

#include "fovea/cache_map.h"
#include "fovea/model.h"

namespace fovea::cli {

// One plot per path of the map, headed and with its axes.
std::string kv_pictures(const ModelFacts& facts, const CacheMap& map, const EngineStats& stats);
// What the plots' colours and marks mean.
std::string kv_legend(const EngineStats& stats);

std::string html_escaped(std::string_view text);

}  // namespace fovea::cli
