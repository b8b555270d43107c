// A model on disk, opened: its metadata and its tensors, whatever the container.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/large_bytes.h"
#include "base/mapped_file.h"
#include "files/metadata.h"
#include "files/tensor_table.h"

namespace fovea::files {

enum class Container { gguf, hugging_face };

// owner    keeps the files mapped; Tensor::bytes die with it
// errors   open() throws Error for anything malformed: wrong magic, truncation, counts or offsets that do not
// fit
//          the file, overlapping tensors, tensor types this engine does not know (named), text that is not
//          UTF-8
struct ModelFiles {
  Container container = Container::gguf;
  std::string path;
  Metadata metadata;  // GGUF: all keys. Folder: config.json, plus generation_config.json below
                      // "generation_config."
  TensorTable tensors;
  std::vector<MappedFile> files;   // keep the bytes alive
  std::vector<LargeBytes> memory;  // likewise, of tensors that were made instead of read

  // Folders only: tokenizer.json, tokenizer.model, tokenizer_config.json, ... by name; empty when absent.
  std::optional<std::string> side_file(const std::string& name) const;

  // Tells the operating system that these bytes of a tensor will not be needed again (of a file: soon).
  void forget(std::span<const std::byte> bytes) const;
};

// path: a .gguf file, or a folder with config.json and *.safetensors (single, or sharded with an index).
ModelFiles open_model(const std::string& path);

// The same, without tensors being required (a bare config.json, or a folder holding only one).
Metadata read_config(const std::string& path);

}  // namespace fovea::files
