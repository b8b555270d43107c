// Blocks of 256 values, whose groups have small scales of their own.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace fovea::conversion {

using LargeBlock = std::span<const float, 256>;

inline constexpr std::array<int8_t, 16> kIq4Codes = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void to_q2_k(LargeBlock x, uint8_t* to);
void to_q3_k(LargeBlock x, uint8_t* to);
void to_q4_k(LargeBlock x, uint8_t* to);
void to_q5_k(LargeBlock x, uint8_t* to);
void to_q6_k(LargeBlock x, uint8_t* to);
void to_iq4_xs(LargeBlock x, uint8_t* to);

}  // namespace fovea::conversion
