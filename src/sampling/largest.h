// The largest logit of a vocabulary.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <span>

namespace fovea::sampling {

// -infinity when nothing is larger. NaN compares false and so never wins.
inline float largest_logit(std::span<const float> logits) {
  constexpr size_t kLanes = 32;  // independent maxima, so that the loop becomes vector maxima
  std::array<float, kLanes> lanes;
  lanes.fill(-std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = logits[i + lane];
      lanes[lane] = value > lanes[lane] ? value : lanes[lane];
    }
  }
  for (; i < logits.size(); ++i) lanes[0] = logits[i] > lanes[0] ? logits[i] : lanes[0];
  float largest = lanes[0];
  for (const float lane : lanes) largest = lane > largest ? lane : largest;
  return largest;
}

}  // namespace fovea::sampling
