#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fovea {
namespace {

TEST(Half, EveryF16SurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const float value = float_from_f16(static_cast<uint16_t>(h));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(float_from_f16(f16_from_float(value))));
    } else {
      EXPECT_EQ(f16_from_float(value), h);
    }
  }
}

TEST(Half, F16RoundsToTheNearestAndTiesToEven) {
  for (uint32_t h = 0; h < 0x7bff; ++h) {
    const float low = float_from_f16(static_cast<uint16_t>(h)), high = float_from_f16(static_cast<uint16_t>(h + 1));
    const float middle = (low + high) / 2;  // exact in float
    EXPECT_EQ(f16_from_float(middle), h + (h & 1)) << h;
    EXPECT_EQ(f16_from_float(std::nextafter(middle, 0.0f)), h) << h;
    EXPECT_EQ(f16_from_float(std::nextafter(middle, 1e9f)), h + 1) << h;
  }
  EXPECT_EQ(f16_from_float(65520.0f), 0x7c00);
  EXPECT_EQ(f16_from_float(std::nextafter(65520.0f, 0.0f)), 0x7bff);
}

TEST(Half, Bf16RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(bf16_from_float(1.0f), 0x3f80);
  EXPECT_EQ(bf16_from_float(1.00390625f), 0x3f80);                        // halfway, even below
  EXPECT_EQ(bf16_from_float(std::nextafter(1.00390625f, 2.0f)), 0x3f81);  // just above
  EXPECT_EQ(bf16_from_float(1.01171875f), 0x3f82);                        // halfway, even above
  EXPECT_TRUE(std::isnan(float_from_bf16(bf16_from_float(std::nanf("")))));
}

}  // namespace
}  // namespace fovea
