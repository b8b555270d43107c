#include "conversion/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "kernels/packed_matrix.h"

namespace fovea::conversion {
namespace {

std::vector<NumberFormat> formats() {
  std::vector<NumberFormat> all;
  for (int i = 0; i < kNumberFormats; ++i) {
    if (can_quantize(static_cast<NumberFormat>(i))) all.push_back(static_cast<NumberFormat>(i));
  }
  return all;
}

std::vector<std::byte> quantized(NumberFormat format, const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() / facts(format).block_values * facts(format).block_bytes);
  quantize(format, values, bytes.data());
  return bytes;
}

// As the kernels read it.
std::vector<float> read_back(NumberFormat format, const std::vector<float>& values) {
  kernels::PanelMemory memory;
  ThreadPool pool(1);
  const std::vector<std::byte> bytes = quantized(format, values);
  const auto matrix = kernels::PackedMatrix::pack(format, 1, static_cast<int>(values.size()), bytes, memory, pool);
  std::vector<float> read(values.size());
  matrix.read_row(0, read);
  return read;
}

// Numbers like weights: a bell around 0, from a counter.
std::vector<float> bell(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  uint64_t state = seed;
  for (float& value : values) {
    double sum = 0;
    for (int i = 0; i < 12; ++i) {
      uint64_t z = state += 0x9e3779b97f4a7c15u;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      sum += static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
    }
    value = static_cast<float>(0.02 * (sum - 6));
  }
  return values;
}

double relative_error(const std::vector<float>& expected, const std::vector<float>& actual) {
  double errors = 0, squares = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    errors += std::pow(expected[i] - actual[i], 2);
    squares += std::pow(expected[i], 2);
  }
  return std::sqrt(errors / squares);
}

TEST(Quantize, ErrorsAreThoseOfTheFormat) {
  const std::vector<float> values = bell(1 << 16, 1);
  const std::map<NumberFormat, double> most = {{NumberFormat::f32, 0},     {NumberFormat::f16, 3e-4},    {NumberFormat::bf16, 2.5e-3},
                                               {NumberFormat::q8_0, 6e-3}, {NumberFormat::q6_k, 0.02},   {NumberFormat::q5_k, 0.04},
                                               {NumberFormat::q5_0, 0.05}, {NumberFormat::q5_1, 0.042},  {NumberFormat::q4_k, 0.078},
                                               {NumberFormat::q4_0, 0.1},  {NumberFormat::q4_1, 0.085},  {NumberFormat::q3_k, 0.17},
                                               {NumberFormat::q2_k, 0.33}, {NumberFormat::iq4_nl, 0.08}, {NumberFormat::iq4_xs, 0.08}};
  for (const NumberFormat format : formats()) {
    const double error = relative_error(values, read_back(format, values));
    EXPECT_LE(error, most.at(format)) << facts(format).name;
  }
}

TEST(Quantize, NumbersThatTheFormatHoldsStayAsTheyAre) {
  for (const NumberFormat format : formats()) {
    if (format == NumberFormat::q2_k) continue;  // its scales have four bits only
    const std::vector<float> once = read_back(format, bell(4096, 2));
    EXPECT_LE(relative_error(once, read_back(format, once)), 0.02) << facts(format).name;
  }
}

TEST(Quantize, ABlockIsAFunctionOfItsOwnValues) {
  const std::vector<float> values = bell(2048, 3);
  for (const NumberFormat format : formats()) {
    const std::vector<std::byte> whole = quantized(format, values);
    const std::vector<std::byte> tail = quantized(format, {values.begin() + 1024, values.end()});
    EXPECT_TRUE(std::equal(tail.begin(), tail.end(), whole.end() - static_cast<std::ptrdiff_t>(tail.size()))) << facts(format).name;
  }
}

TEST(Quantize, ZerosAndEqualNumbersAreExact) {
  for (const NumberFormat format : formats()) {
    EXPECT_EQ(read_back(format, std::vector<float>(256, 0)), std::vector<float>(256, 0)) << facts(format).name;
    for (const float value : {0.5f, -0.5f}) {
      const std::vector<float> same(256, value);
      EXPECT_LE(relative_error(same, read_back(format, same)), 0.01) << facts(format).name << " " << value;
    }
  }
}

TEST(Quantize, OneLargeNumberSurvives) {
  std::vector<float> values = bell(256, 4);
  values[77] = -1.5f;
  for (const NumberFormat format : formats()) {
    EXPECT_NEAR(read_back(format, values)[77], -1.5f, 0.12f) << facts(format).name;
  }
}

}  // namespace
}  // namespace fovea::conversion
