// A Hugging Face folder -> a GGUF that this engine and llama.cpp compute alike.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/options.h"

namespace fovea {

struct ConversionOptions {
  std::string quant;          // a mixture ("q4_k_m") or format ("q8_0") of the matrices; empty: as the folder stores them
  std::string pre_tokenizer;  // how byte-level texts are cut, by llama.cpp's name; empty: what the folder's tokenizer says
  // The format has no window for some architectures. Converted without, the file computes the same within the window, and its
  // context is no longer than that.
  bool no_window = false;
  int threads = 0;  // 0: all processors this process may use
};

struct ConvertedModel {
  std::string name, architecture;
  std::string tokenizer;  // "llama" (pieces), "gpt2" (byte-level), or empty: the folder has none
  int tensors = 0;
  int64_t values = 0;
  int64_t file_bytes = 0;
};

// Writes the file; it appears when it is complete, in place of one that had the name. Tensors are read, put into the order of
// the format and quantized some megabytes at a time. The keys are read back before: a fact of the model that the file could not
// say is an error, since the file would compute something else.
// errors  Error (what, where, how to mend it); Stopped when progress said so (bytes)
ConvertedModel convert_model(const std::string& folder, const std::string& path, const ConversionOptions& options,
                             const Progress& progress = {});

}  // namespace fovea
