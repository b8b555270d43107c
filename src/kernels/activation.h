#pragma once

#include <cstdint>

namespace fovea::kernels {

enum class Activation : uint8_t { silu, gelu_tanh };  // GELU in its tanh form

}  // namespace fovea::kernels
