// A Hugging Face folder as the GGUF that llama.cpp would read: keys, tensors, and what they compute.
#pragma once

#include <string>
#include <vector>

#include "conversion/tensor_plan.h"
#include "files/gguf_writer.h"
#include "files/model_files.h"
#include "model/spec.h"

namespace fovea::conversion {

struct GgufForm {
  std::string architecture;
  std::string name;
  std::vector<files::GgufKey> keys;    // all but the tokenizer's
  std::vector<PlannedTensor> tensors;  // refer to the folder's bytes
  // What the folder computes, in the names and the order of rows of `tensors`.
  model::ModelSpec spec;
  std::string lost;  // the first fact that the keys cannot say (same_facts.h); empty: none
};

// formats   none: as the folder stores them
// no_window  layers with a window see everything, and the context ends with the window: the same up to there
// errors  Error for a model that is unknown, incomplete, or without a place in the format
GgufForm gguf_form(const files::ModelFiles& folder, const std::optional<synthesis::WeightFormats>& formats, bool no_window = false);

}  // namespace fovea::conversion
