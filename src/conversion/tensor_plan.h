// Tensors of a folder -> tensors of a GGUF of the same model: names, shapes, formats and the order of rows.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "files/gguf_writer.h"
#include "files/model_files.h"
#include "model/matrix_part.h"
#include "model/spec.h"
#include "synthesis/quantization.h"

namespace fovea::conversion {

// One tensor to be made. Its data are `parts` blocks of rows, one after the other, each made when it is needed.
//   owner  refers to the folder's bytes
struct PlannedTensor {
  files::GgufTensor tensor;
  int parts = 1;
  std::function<model::MatrixPart(int part)> part;  // plain numbers, or already in the tensor's format
  float added = 0;                                  // to every number
  std::vector<const files::Tensor*> sources;        // whose pages may go when it is made
};

// from    what the folder computes, with its names (completed: model/weights.h)
// to      how a GGUF reader calls the same roles
// adjacent  the file's ropes turn neighbours where the folder's turn halves: rows of q and k are permuted
// formats none: matrices stay as the folder stores them
// errors  Error for a tensor that no role claims, or that has no place in the file
std::vector<PlannedTensor> plan_tensors(const files::ModelFiles& folder, const model::ModelSpec& from, const model::TensorNames& to,
                                        bool adjacent, const std::optional<synthesis::WeightFormats>& formats);

}  // namespace fovea::conversion
