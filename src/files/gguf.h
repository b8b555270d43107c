// GGUF files, versions 2 and 3, little-endian. docs/formats.md says what is accepted and what is refused.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "files/metadata.h"
#include "files/model_files.h"
#include "files/tensor_table.h"

namespace fovea::files {

struct GgufContents {
  Metadata metadata;
  TensorTable tensors;  // their bytes point into the parsed span
};

bool has_gguf_magic(std::span<const std::byte> file);

// Memory allocated stays proportional to file.size(), whatever the counts in it claim.
// source  the file's name, for messages
// errors  throws Error for everything that docs/formats.md lists as refused
GgufContents parse_gguf(std::span<const std::byte> file, const std::string& source);

// The keys alone; what stands behind them is not looked at.
Metadata parse_gguf_metadata(std::span<const std::byte> file, const std::string& source);

// Opens a model of one file, or of several that `gguf-split` made, named by the first.
ModelFiles open_gguf(const std::string& path);

}  // namespace fovea::files
