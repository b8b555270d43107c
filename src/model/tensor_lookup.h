// From the name of a role ("model.layers.%d.mlp.up_proj.weight") to the tensor of this file.
#pragma once

#include <string>
#include <string_view>

#include "files/tensor_table.h"

namespace fovea::model {

// "%d" in `pattern` replaced by the layer, "%e" by the expert (or the stream).
std::string tensor_name(std::string_view pattern, int layer, int expert = 0);

// The tensor called `canonical`, or by one of the longer or shorter names that Hugging Face folders give it
// when the language model is part of a larger one (or was saved without its head). GGUF names have one
// spelling. Null when absent under every spelling.
const files::Tensor* find_tensor(const files::TensorTable& tensors, std::string_view canonical);

}  // namespace fovea::model
