// The tensors of a shape, with their names, formats and sizes.
#pragma once

#include <cstdint>
#include <vector>

#include "files/gguf_writer.h"
#include "synthesis/quantization.h"
#include "synthesis/shape.h"

namespace fovea::synthesis {

enum class Content : uint8_t { weights, norm, rope_divisors };

struct PlannedTensor {
  files::GgufTensor tensor;
  Content content = Content::norm;
};

std::vector<PlannedTensor> tensors_of(const Shape& shape, const Quantization& quantization, bool pure);

// [head_dim / 2]: what Llama 3.1 divides the frequency of each pair of dimensions by, and so its kin.
std::vector<float> rope_divisors(const Shape& shape);

}  // namespace fovea::synthesis
