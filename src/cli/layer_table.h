// The layers of a model as people read them.
#pragma once

#include <string>
#include <vector>

#include "fovea/model.h"

namespace fovea::cli {

// Kinds of layers, in order of first appearance: those that differ in their index alone are one.
struct LayerKind {
  LayerFacts facts;  // of the first such layer
  std::vector<int> layers;
};
std::vector<LayerKind> layer_kinds(const std::vector<LayerFacts>& layers);

// What a layer has beyond the usual: "sinks, softcap 50, 4 of 32 experts"; may be empty.
std::string extras_text(const LayerFacts& layer);

// One line per kind of layer ("0-4, 6-10").
std::string layer_table(const std::vector<LayerFacts>& layers);

// What the cache of one sequence takes, with bf16: per token, and where local layers stop growing.
std::string cache_summary(const std::vector<LayerFacts>& layers);

// {0, 1, 2, 5} -> "0-2, 5"
std::string ranges_text(const std::vector<int>& ascending);

}  // namespace fovea::cli
