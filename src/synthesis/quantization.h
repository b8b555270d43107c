// Which format each matrix of a model gets: mixtures as llama.cpp's quantizer makes them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/number_format.h"

namespace fovea::synthesis {

// What a matrix does; norms are always f32 and have no role.
enum class Role : uint8_t { embedding, head, q, k, v, attn_out, gate, up, down };

struct Matrix {
  Role role = Role::embedding;
  bool makes_logits = false;  // the head, or an embedding that serves as one
  int layer = 0, layers = 1;  // 0 of 1 for embedding and head
  int queries_per_kv = 1;     // query heads that share one kv head
  int64_t row_values = 0;
};

// One base format, and better ones for the matrices that are worth it.
struct Quantization {
  struct Choice {
    bool (*is_better)(const Matrix&);
    NumberFormat better, otherwise;
  };

  std::string_view name;
  uint32_t file_type;  // the number under "general.file_type"
  NumberFormat base;
  Choice v, down;
  NumberFormat attn_out;
};

std::span<const Quantization> quantizations();

// errors  Error listing the names when there is no such quantization
const Quantization& quantization_named(std::string_view name);

// A mixture, or a format for all matrices alike.
struct WeightFormats {
  Quantization quantization;
  bool pure = false;
};

// option  how the user gave the name, for messages
// errors  Error listing the names when `name` is neither a quantization nor a format
WeightFormats weight_formats_named(std::string_view name, std::string_view option);

// pure  the base format for every matrix whose rows divide into its blocks
NumberFormat format_of(const Quantization& quantization, const Matrix& matrix, bool pure);

}  // namespace fovea::synthesis
