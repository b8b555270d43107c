// Safetensors files and the index of sharded ones. docs/formats.md says what is accepted and what is refused.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/mxfp4_pairs.h"
#include "files/tensor_table.h"

namespace fovea::files {

// Adds the tensors of one file; their bytes point into `file`, at any alignment.
// source  the file's name, for messages
// byte_tensors  takes those of bytes; without it they are refused like other types
// errors  throws Error for everything that docs/formats.md lists as refused, and for names already in the
// table
void parse_safetensors(std::span<const std::byte> file, const std::string& source, TensorTable& tensors,
                       std::vector<ByteTensor>* byte_tensors = nullptr);

// model.safetensors.index.json: tensor name -> name of the shard that holds it, a plain name in the same
// folder. errors  throws Error for anything but that, above all for shard names that lead out of the folder
std::map<std::string, std::string> parse_safetensors_index(std::string_view json, const std::string& source);

// Neither empty nor a way to another folder ('/', '\', "..", a leading dot).
bool is_plain_file_name(std::string_view name);

}  // namespace fovea::files
