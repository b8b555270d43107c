// MXFP4 in safetensors: two tensors of bytes stand for one tensor [..][outputs][inputs] of numbers.
//
//   <name>_blocks  [..][outputs][inputs / 32][16]  two codes a byte: the first value in its low half, the second in its high half
//   <name>_scales  [..][outputs][inputs / 32]      exponents: 2^(scale - 127) multiplies the 32 values
//
// Source: the published GPT-OSS checkpoints.
#pragma once

#include <string>
#include <vector>

#include "files/tensor_table.h"

namespace fovea::files {

// A tensor of bytes, which by itself means nothing to this engine.
struct ByteTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
  std::string where;
};

// Adds the tensors that pairs stand for.
// errors  Error for a tensor of bytes without partner, or whose shape does not fit it
void join_mxfp4(const std::vector<ByteTensor>& parts, TensorTable& tensors);

}  // namespace fovea::files
