// One output's part of a packed panel, taken apart again: the specification of the packed form.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/number_format.h"
#include "kernels/panel_layout.h"

namespace fovea::kernels {

// 32 inputs of one output. value[i] = scales[i / scale_inputs] * q[i] - minima[i / scale_inputs].
struct PanelBlock {
  int32_t q[kBlockInputs];  // the format's zero already taken off
  float scales[2];
  float minima[2];  // 0 where the format has none
};

// REQUIRES a quantized format, output in [0, 16).
void read_panel_block(NumberFormat format, const std::byte* panel, int block, int output, PanelBlock& result);

// A plain weight. REQUIRES f32, f16 or bf16.
float read_panel_value(NumberFormat format, const std::byte* panel, int input, int output);

}  // namespace fovea::kernels
