// Folders as Hugging Face publishes them: config.json, generation_config.json, *.safetensors, tokenizer
// files.
#pragma once

#include <string>
#include <string_view>

#include "files/metadata.h"
#include "files/model_files.h"

namespace fovea::files {

// Flattens a JSON object into `metadata`, as metadata.h says, every name below `prefix`
// ("generation_config."). Empty lists have no kind and are left out like null. source  the file's name, for
// messages errors  throws Error for what parse_json_object refuses, integers beyond int64, flattened names
// that are too long
//         or there twice
void parse_config(std::string_view json, const std::string& source, const std::string& prefix, Metadata& metadata);

ModelFiles open_hugging_face(const std::string& folder);

// config.json of a folder, with generation_config.json where there is one.
Metadata read_folder_config(const std::string& folder);

// A config.json by itself.
Metadata read_config_file(const std::string& path);

}  // namespace fovea::files
