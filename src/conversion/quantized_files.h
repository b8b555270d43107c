// A folder whose matrices are quantized as they are loaded, instead of in a file before.
#pragma once

#include <string>

#include "files/model_files.h"
#include "fovea/options.h"
#include "model/spec.h"

namespace fovea::conversion {

// The tensors that `fovea convert --quant` would write, in memory, and what they compute: the same bits as from the file.
// A tensor's bytes lie in memory until ModelFiles::forget is told of them.
struct QuantizedFiles {
  model::ModelSpec spec;
  files::ModelFiles files;
};

// threads  0: all processors this process may use
// errors   Error for what gguf_form refuses, an unknown quantization, and formats that are only read; Stopped
QuantizedFiles quantized_files(const files::ModelFiles& folder, const std::string& quant, int threads, const Progress& progress);

// The same without any data: names, shapes and formats, for planning.
QuantizedFiles planned_files(const files::ModelFiles& folder, const std::string& quant);

}  // namespace fovea::conversion
