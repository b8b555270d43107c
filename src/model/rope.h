// The angles of rotary position embedding: base and scaling -> frequencies.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/spec.h"

namespace fovea::model {

// How frequencies f_k = base^(-2k/dims) are stretched to reach beyond the context a model was first trained
// on.
struct RopeScaling {
  enum class Kind : uint8_t {
    none,
    linear,         // every frequency divided by factor
    by_wavelength,  // long wavelengths divided by factor, short ones kept, those between blended
    yarn,           // the same by the number of turns within the original context, blended along k (arXiv:2309.00071)
    listed,         // a divisor for each frequency, and others for contexts longer than the original (arXiv:2402.13753)
    proportional,   // the first `turning` of the pairs turn by the frequencies of the whole head, the others not at all
  };
  Kind kind = Kind::none;
  double factor = 1;
  // by_wavelength only: those shorter than original_context_tokens / high_freq_factor are kept, those longer
  // than original_context_tokens / low_freq_factor are divided.
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_context_tokens = 0;
  double beta_fast = 32, beta_slow = 1;                  // yarn: turns above which a frequency is kept, and below which it is divided
  bool truncate = true;                                  // yarn: the limits between which it blends are whole numbers
  double magnitude = 1;                                  // of cos and sin
  std::vector<double> divisors = {}, far_divisors = {};  // listed
  double turning = 1;                                    // proportional: share of the head
};

// What yarn multiplies cos and sin by where a file does not say: 0.1 * weight * ln(factor) + 1.
double yarn_magnitude(double factor, double weight);

// Computed in double: the rounding of a float frequency near 1 is worth thousandths of a radian at position
// 100,000. REQUIRES: dims even and positive, base and factors positive, low_freq_factor < high_freq_factor.
Rope make_rope(Rope::Pairing pairing, int dims, double base, const RopeScaling& scaling = {});

// Those of a rope that differs for contexts beyond near_tokens.
inline const std::vector<double>& frequencies_for(const Rope& rope, int context_tokens) {
  const bool far = !rope.far_frequencies.empty() && context_tokens > rope.near_tokens;
  return far ? rope.far_frequencies : rope.frequencies;
}

// Divides frequency k by divisors[k]: how GGUF stores scalings that are not a plain factor.
// where   the tensor, for messages
// errors  Error unless there is one positive, finite divisor per frequency
void apply_divisors(Rope& rope, std::span<const float> divisors, const std::string& where);

}  // namespace fovea::model
