// From files to the table of a plan. Headers are read, weights are not.
#pragma once

#include <string>

#include "files/model_files.h"
#include "planner/layer_table.h"

namespace fovea::planner {

LayerTable table_of(const model::ModelSpec& spec);

// The matrices of a file, in its formats. Tensors are told apart by the parts that their names have in both
// containers.
void add_tensors(LayerTable& table, const files::TensorTable& tensors);

// The matrices that a plain decoder of these layers has, where there is no file to ask.
void add_expected_matrices(LayerTable& table);

// Both, and what its tokenizer will take.
LayerTable table_of_files(const model::ModelSpec& spec, const files::ModelFiles& files);

// path: a .gguf file, a folder with config.json (with or without weights), or a config.json.
// quant: of a folder with weights, what its matrices are quantized to at load; empty: nothing
// errors  Error for anything that is not a model, or not one whose facts can be read
LayerTable read_table(const std::string& path, const std::string& quant = "");

}  // namespace fovea::planner
