// Sums as vectors of sixteen lanes make them.
#pragma once

namespace fovea::kernels::scalar {

inline constexpr int kLanes = 16;

// Lanes i and i + 8 first, then 4, 2 and 1 apart.
inline float reduce_lanes(float (&lanes)[kLanes]) {
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] = lanes[i] + lanes[i + width];
  }
  return lanes[0];
}

}  // namespace fovea::kernels::scalar
