// Models of known shapes with random weights: they say nothing, but they load, take memory and run like the
// real ones, so that sizes that are not at hand can be timed and planned, here and in other engines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/options.h"

namespace fovea {

struct SyntheticOptions {
  std::string like;              // name of a shape: "gemma3-4b"
  std::string quant = "q4_k_m";  // name of a quantization
  bool pure = false;             // every matrix in the base format, instead of better ones where llama.cpp's mixture spends more
  int layers = 0;                // 0: as the original
  int vocabulary = 0;            // tokens; 0: as the original
  uint64_t seed = 0;             // the same options give the same bytes, on any machine
  int threads = 0;               // 0: all processors this process may use
};

struct SyntheticShape {
  std::string_view name, alias;  // alias: a second spelling; may be empty
  int layers = 0;
  int vocabulary = 0;
};
std::vector<SyntheticShape> synthetic_shapes();
std::vector<std::string_view> synthetic_quants();

struct SyntheticModel {
  std::string name;  // "synthetic gemma3-4b q4_k_m", as the file calls itself
  int tensors = 0;
  int64_t values = 0;  // in all tensors
  int64_t file_bytes = 0;
};

// What would be written. errors: Error for names that do not exist (listing those that do) and for numbers
// out of range.
SyntheticModel describe_synthetic_model(const SyntheticOptions& options);

// Writes it; the file appears when it is complete, in place of one that had the name.
// errors  as above; Error when the disk has not the room or cannot be written; Stopped when progress said so
// (bytes)
SyntheticModel write_synthetic_model(const SyntheticOptions& options, const std::string& path, const Progress& progress = {});

}  // namespace fovea
