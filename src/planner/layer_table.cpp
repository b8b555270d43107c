#include "planner/layer_table.h"

#include <array>

namespace fovea::planner {

std::string_view name_of(LayerKind kind) {
  constexpr std::array<std::string_view, 5> kNames = {"global", "local", "chunked", "latent", "state"};
  return kNames[static_cast<size_t>(kind)];
}

std::string_view name_of(WeightKind kind) {
  constexpr std::array<std::string_view, kWeightKinds> kNames = {"embedding",           "output",    "attention", "feed-forward", "experts",
                                                                 "per-layer embedding", "recurrent", "norms",     "other"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace fovea::planner
