#pragma once

#include <cstdint>

namespace fovea::kernels {

enum class Activation : uint8_t {
  silu,
  gelu_tanh,     // GELU in its tanh form
  silu_clamped,  // gate = min(gate, 7), up = clamp(up, -7, 7): gate * sigmoid(1.702 gate) * (up + 1)
};

inline constexpr float kClampedLimit = 7.0f;
inline constexpr float kClampedSlope = 1.702f;

}  // namespace fovea::kernels
