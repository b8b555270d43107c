// What a GGUF says of a model beside its tokenizer: the way back from a spec.
#pragma once

#include <string>
#include <vector>

#include "files/gguf_writer.h"

namespace fovea::model {

struct GgufOutline {
  // A small tensor that the folder holds as configuration, [values], f32.
  struct Tensor {
    std::string name;
    std::vector<float> values;
  };

  std::string architecture;
  std::vector<files::GgufKey> keys;  // those below "<architecture>."
  std::vector<Tensor> tensors;
};

}  // namespace fovea::model
