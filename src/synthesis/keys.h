// The keys of a synthetic model's file: those that real files of its architecture have.
#pragma once

#include <string>
#include <vector>

#include "files/gguf_writer.h"
#include "synthesis/quantization.h"
#include "synthesis/shape.h"

namespace fovea::synthesis {

std::vector<files::GgufKey> keys_of(const Shape& shape, const Quantization& quantization, const std::string& name);

}  // namespace fovea::synthesis
