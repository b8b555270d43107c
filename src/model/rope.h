// The angles of rotary position embedding: base and scaling -> frequencies.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "model/spec.h"

namespace fovea::model {

// How frequencies f_k = base^(-2k/dims) are stretched to reach beyond the context a model was first trained
// on.
struct RopeScaling {
  enum class Kind : uint8_t {
    none,
    linear,  // every frequency divided by factor
    llama3,  // long wavelengths divided by factor, short ones kept, those between blended
  };
  Kind kind = Kind::none;
  double factor = 1;
  // llama3 only: wavelengths shorter than original_context_tokens / high_freq_factor are kept, those longer
  // than original_context_tokens / low_freq_factor are divided.
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_context_tokens = 0;
};

// Computed in double: the rounding of a float frequency near 1 is worth thousandths of a radian at position
// 100,000. REQUIRES: dims even and positive, base and factors positive, low_freq_factor < high_freq_factor.
Rope make_rope(Rope::Pairing pairing, int dims, double base, const RopeScaling& scaling = {});

// Divides frequency k by divisors[k]: how GGUF stores scalings that are not a plain factor.
// where   the tensor, for messages
// errors  Error unless there is one positive, finite divisor per frequency
void apply_divisors(Rope& rope, std::span<const float> divisors, const std::string& where);

}  // namespace fovea::model
