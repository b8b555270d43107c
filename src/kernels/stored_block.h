// Blocks of weights as GGUF stores them, taken apart into integers and scales.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/number_format.h"

namespace fovea::kernels {

// One block of one row. value[i] = scale * (q[i] - zero) - min, or scale * (codebook[q[i]] - zero), with the scales of its part of the
// block: how d, d_min and the small scales make `scale` and `min` is in panel_layout.h and docs/formats.md.
struct StoredBlock {
  uint8_t q[256];     // unsigned, offset by the format's zero, or codes; the first block_values are used
  uint16_t d;         // f16; mxfp4: e of 2^(e - 128)
  uint16_t d_min;     // f16; 0 where the format has none
  uint8_t small[16];  // blocks of 256: small scales (q4_k, q5_k: 8 scales, then 8 minima; q2_k: scale | min << 4)
};

// REQUIRES a quantized format and facts(format).block_bytes readable bytes.
void read_stored_block(NumberFormat format, const std::byte* bytes, StoredBlock& block);

}  // namespace fovea::kernels
