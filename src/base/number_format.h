// The forms in which tensors are stored: plain numbers and the block formats of GGUF.
//
// A block format keeps `block_values` consecutive values of a row in `block_bytes` bytes.
// Source: the GGUF specification and its quantization structures (docs/formats.md lists the layouts).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fovea {

enum class NumberFormat : uint8_t {
  f32,
  f16,
  bf16,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4,
};
inline constexpr int kNumberFormats = 16;

struct NumberFormatFacts {
  NumberFormat format;
  std::string_view name;  // as users spell it: "q4_k"
  uint32_t gguf_type;     // the number that stands for it in a GGUF tensor table
  uint32_t block_values;  // values of one row that are stored together
  uint32_t block_bytes;   // bytes they take
};

const NumberFormatFacts& facts(NumberFormat format);
std::optional<NumberFormat> number_format_of_gguf_type(uint32_t gguf_type);
// Name of any GGUF tensor type, known to this engine or not ("iq2_xs"); empty when there is no such type.
std::string_view gguf_type_name(uint32_t gguf_type);

}  // namespace fovea
