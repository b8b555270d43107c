// A GGUF file whose quantized matrices are unfolded to f32 as they are loaded.
#pragma once

#include <string>

#include "files/model_files.h"
#include "fovea/options.h"

namespace fovea::conversion {

// Whether LoadOptions::quant asks for it. (Folders are converted to f32 as to any other format: quantized_files.h.)
bool widens(const files::ModelFiles& files, const std::string& quant);

// The same weights as the kernels read them, four bytes each: products with them quantize no activations. Refers to the bytes of
// `files` where these are plain, so it must not outlive them.
//   threads  0: all processors this process may use
//   errors   Error where they do not fit into memory; Stopped
files::ModelFiles widened_files(const files::ModelFiles& files, int threads, const Progress& progress);

// The same without any data: names, shapes and formats, for planning.
files::ModelFiles planned_widened_files(const files::ModelFiles& files);

}  // namespace fovea::conversion
