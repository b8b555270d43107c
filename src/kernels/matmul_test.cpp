// Products of packed weights: every instruction set and any number of rows give the bits of the scalar
// specification.
#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/kernel_tests.h"
#include "kernels/panel_block.h"

namespace fovea::kernels {
namespace {

constexpr int kMostRows = 25;

std::vector<QuantBlock> quantized(const KernelSet& set, const std::vector<float>& x, int rows, int inputs, bool biased = false) {
  std::vector<QuantBlock> tiles(static_cast<size_t>(rows) * static_cast<size_t>(inputs / kBlockInputs));
  for (int first = 0; first < rows; first += kTileRows) {
    set.quantize_tile(x.data() + first * inputs, inputs, std::min(kTileRows, rows - first), inputs, biased,
                      tiles.data() + first * (inputs / kBlockInputs));
  }
  return tiles;
}

std::vector<float> transposed(const std::vector<float>& x, int rows, int inputs) {
  std::vector<float> tiles;
  for (int first = 0; first < rows; first += kTileRows) {
    for (int k = 0; k < inputs; ++k) {
      for (int r = first; r < std::min(first + kTileRows, rows); ++r) {
        tiles.push_back(x[static_cast<size_t>(r * inputs + k)]);
      }
    }
  }
  return tiles;
}

// A packed matrix in memory of its exact size, and rows to multiply it with.
struct Problem {
  NumberFormat format;
  int outputs, inputs;
  std::vector<std::byte> panels;
  std::vector<float> x;  // [kMostRows][inputs]

  Problem(NumberFormat f, int n, int k, RandomNumbers& random) : format(f), outputs(n), inputs(k) {
    ThreadPool pool(1);
    PanelMemory memory;
    const PackedMatrix packed = PackedMatrix::pack(format, outputs, inputs, random.weights(format, outputs, inputs), memory, pool);
    panels.assign(packed.data(), packed.data() + packed.panel_size() * static_cast<size_t>(packed.panels()));
    x = random.floats(static_cast<size_t>(kMostRows * inputs));
  }

  int panel_count() const { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }

  // The product of the first `rows` rows, panel ranges of `step` at a time; [rows][outputs].
  std::vector<float> product(const KernelSet& set, int rows, int step) const {
    const std::vector<QuantBlock> quant =
        is_quantized(format) ? quantized(set, x, rows, inputs, set.biased_tiles && rows > kFewRows) : std::vector<QuantBlock>{};
    return product(set, rows, step, quant, Digits::one);
  }
  // Likewise with some others, `second`, as what was left of them.
  std::vector<float> product_of_two(const KernelSet& set, const std::vector<float>& second, int rows, int step) const {
    constexpr int kRows = kTileRows / 2;
    std::vector<QuantBlock> tiles;
    for (int first = 0; first < rows; first += kRows) {
      const int begin = first * inputs, end = std::min(first + kRows, rows) * inputs;
      std::vector<float> both(x.begin() + begin, x.begin() + end);
      both.insert(both.end(), second.begin() + begin, second.begin() + end);
      const auto tile = quantized(set, both, 2 * (end - begin) / inputs, inputs, set.biased_tiles && 2 * rows > kFewRows);
      tiles.insert(tiles.end(), tile.begin(), tile.end());
    }
    return product(set, rows, step, tiles, Digits::two);
  }

 private:
  std::vector<float> product(const KernelSet& set, int rows, int step, const std::vector<QuantBlock>& quant, Digits digits) const {
    const std::vector<float> plain = is_quantized(format) ? std::vector<float>{} : transposed(x, rows, inputs);
    std::vector<float> out(static_cast<size_t>(rows * outputs));
    std::vector<std::byte> scratch(widened_panel_bytes(inputs));
    const void* tiles = is_quantized(format) ? static_cast<const void*>(quant.data()) : plain.data();
    const PanelProduct work = {format, inputs, outputs, panels.data(), tiles, rows, out.data(), outputs, digits};
    for (int panel = 0; panel < panel_count(); panel += step) {
      set.multiply_panels(work, panel, std::min(panel + step, panel_count()), scratch.data());
    }
    return out;
  }
};

std::vector<int> input_counts(NumberFormat format) {
  if (!is_quantized(format)) return {1, 7, 32, 33, 64};
  if (facts(format).block_values == 256) return {256, 512};
  return {32, 64, 256, 512};
}

FOVEA_ON_EVERY_KERNEL_SET(MultiplyPanels);

TEST_P(MultiplyPanels, GivesTheBitsOfTheSpecificationForAnyNumberOfRows) {
  RandomNumbers random(2);
  for (const NumberFormat format : all_formats()) {
    for (const int inputs : input_counts(format)) {
      for (const int outputs : {1, 15, 16, 17, 48, 100}) {
        SCOPED_TRACE(testing::Message() << facts(format).name << " " << outputs << " x " << inputs);
        const Problem problem(format, outputs, inputs, random);
        const std::vector<float> expected = problem.product(scalar_kernels(), kMostRows, problem.panel_count());
        for (const int rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 24, 25}) {
          const std::vector<float> found = problem.product(set(), rows, 1 + rows % 6);
          ASSERT_TRUE(same_bits({expected.data(), found.size()}, found)) << rows << " rows";
        }
      }
    }
  }
}

TEST_P(MultiplyPanels, OfTwoDigitsIsTheSumOfTheirProducts) {
  RandomNumbers random(12);
  for (const NumberFormat format : all_formats()) {
    if (!is_quantized(format)) continue;
    const int inputs = input_counts(format).back();
    for (const int outputs : {1, 17, 48}) {
      SCOPED_TRACE(testing::Message() << facts(format).name << " " << outputs << " x " << inputs);
      Problem problem(format, outputs, inputs, random);
      const std::vector<float> first = problem.product(scalar_kernels(), kMostRows, problem.panel_count());
      const std::vector<float> rows_of_first = problem.x, second = random.floats(problem.x.size(), 0.01f);
      problem.x = second;
      std::vector<float> expected = problem.product(scalar_kernels(), kMostRows, problem.panel_count());
      problem.x = rows_of_first;
      for (size_t i = 0; i < expected.size(); ++i) expected[i] = first[i] + expected[i];
      for (const int rows : {1, 2, 5, 6, 7, 12, 13, 25}) {
        const std::vector<float> found = problem.product_of_two(set(), second, rows, 1 + rows % 3);
        ASSERT_TRUE(same_bits({expected.data(), found.size()}, found)) << rows << " rows";
      }
    }
  }
}

TEST_P(MultiplyPanels, LeavesWhatStandsBesideItsOutputsAlone) {
  RandomNumbers random(3);
  for (const NumberFormat format : {NumberFormat::f16, NumberFormat::q4_0}) {
    const Problem problem(format, 17, 32, random);
    const std::vector<QuantBlock> quant = quantized(set(), problem.x, 5, 32, set().biased_tiles);
    const std::vector<float> plain = transposed(problem.x, 5, 32);
    std::vector<std::byte> scratch(widened_panel_bytes(32));
    std::vector<float> out(5 * 40, -77.0f);
    const void* tiles = is_quantized(format) ? static_cast<const void*>(quant.data()) : plain.data();
    set().multiply_panels({format, 32, 17, problem.panels.data(), tiles, 5, out.data(), 40}, 0, 2, scratch.data());
    for (size_t i = 0; i < out.size(); ++i) {
      if (i % 40 >= 17) {
        ASSERT_EQ(out[i], -77.0f) << facts(format).name << " " << i;
      }
    }
  }
}

TEST_P(MultiplyPanels, OfNoRowsOrNoPanelsWritesNothing) {
  RandomNumbers random(4);
  const Problem problem(NumberFormat::q8_0, 16, 32, random);
  std::vector<std::byte> scratch(widened_panel_bytes(32));
  set().multiply_panels({NumberFormat::q8_0, 32, 16, problem.panels.data(), nullptr, 0, nullptr, 16}, 0, 1, scratch.data());
  set().multiply_panels({NumberFormat::q8_0, 32, 16, problem.panels.data(), nullptr, 4, nullptr, 16}, 0, 0, scratch.data());
}

FOVEA_ON_EVERY_KERNEL_SET(QuantizeTile);

void expect_same_blocks(const std::vector<QuantBlock>& expected, const std::vector<QuantBlock>& found) {
  ASSERT_EQ(expected.size(), found.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(std::memcmp(&expected[i], &found[i], sizeof(QuantBlock)), 0)
        << "block " << i << " scales " << expected[i].scale << " " << found[i].scale;
  }
}

TEST_P(QuantizeTile, GivesTheBitsOfTheSpecificationForFiniteNumbers) {
  RandomNumbers random(5);
  for (const float size : {0.0f, 1e-45f, 1e-40f, 1e-31f, 1e-29f, 1.0f, 1e30f, 3e37f}) {
    for (const int rows : {1, 2, 11, 12}) {
      const std::vector<float> x = random.floats(static_cast<size_t>(rows * 96), size);
      expect_same_blocks(quantized(scalar_kernels(), x, rows, 96), quantized(set(), x, rows, 96));
    }
  }
}

TEST_P(QuantizeTile, BiasedIsTheSameWith128Added) {
  RandomNumbers random(10);
  const std::vector<float> x = random.floats(5 * 96);
  std::vector<QuantBlock> expected = quantized(set(), x, 5, 96);
  for (QuantBlock& block : expected) {
    for (int8_t& q : block.q) q = static_cast<int8_t>(static_cast<uint8_t>(q + 128));
  }
  expect_same_blocks(expected, quantized(set(), x, 5, 96, true));
}

TEST_P(QuantizeTile, KeepsItsOwnSumsAndRoundsToTheNearestStep) {
  RandomNumbers random(6);
  const std::vector<float> x = random.floats(64);
  for (size_t b = 0; const QuantBlock& block : quantized(set(), x, 1, 64)) {
    int first = 0, all = 0;
    for (int i = 0; i < kBlockInputs; ++i) {
      (i < 16 ? first : all) += block.q[i];
      EXPECT_NEAR(block.scale * static_cast<float>(block.q[i]), x[b * 32 + static_cast<size_t>(i)], 0.50001f * block.scale);
    }
    EXPECT_EQ(block.negative_sum_first, -first);
    EXPECT_EQ(block.negative_sum, -(all + first));
    EXPECT_EQ(block.negative_scaled_sum, block.scale * static_cast<float>(block.negative_sum));
    ++b;
  }
}

TEST_P(QuantizeTile, SurvivesNumbersThatAreNone) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float odd : {infinity, -infinity, std::nanf("")}) {
    std::vector<float> x(64, 1.0f);
    x[5] = odd;
    const std::vector<QuantBlock> blocks = quantized(set(), x, 1, 64);
    EXPECT_EQ(blocks[1].q[0], 127) << "the block beside it";
  }
}

TEST_P(QuantizeTile, OfARowDoesNotDependOnTheRowsBesideIt) {
  RandomNumbers random(7);
  const std::vector<float> x = random.floats(12 * 64);
  const std::vector<QuantBlock> together = quantized(set(), x, 12, 64);
  for (size_t row = 0; row < 12; ++row) {
    const std::vector<float> one(x.begin() + static_cast<std::ptrdiff_t>(row * 64), x.begin() + static_cast<std::ptrdiff_t>(row * 64 + 64));
    expect_same_blocks(quantized(set(), one, 1, 64), {together[row], together[12 + row]});
  }
}

// The dumb oracle: weights as floats times the values that the quantized activations stand for, in double.
TEST(Specification, IsTheProductOfWhatTheNumbersStandFor) {
  RandomNumbers random(8);
  constexpr int kOutputs = 21, kInputs = 512, kRows = 3;
  ThreadPool pool(1);
  PanelMemory memory;
  for (const NumberFormat format : all_formats()) {
    const std::vector<std::byte> stored = random.weights(format, kOutputs, kInputs);
    const PackedMatrix weights = PackedMatrix::pack(format, kOutputs, kInputs, stored, memory, pool);
    const std::vector<float> x = random.floats(kRows * kInputs);
    Compute compute(scalar_kernels(), pool, {kRows, kInputs, 16});
    std::vector<float> out(kRows * kOutputs);
    const Product product = {&weights, out.data(), kOutputs};
    multiply(compute, {x.data(), kInputs, kRows}, {&product, 1});

    std::vector<float> row(kInputs);
    for (int m = 0; m < kRows; ++m) {
      const std::vector<float> one(x.begin() + m * kInputs, x.begin() + (m + 1) * kInputs);
      const std::vector<QuantBlock> blocks = quantized(scalar_kernels(), one, 1, kInputs);
      for (int n = 0; n < kOutputs; ++n) {
        weights.read_row(n, row);
        double sum = 0, magnitude = 0;
        for (size_t k = 0; k < kInputs; ++k) {
          const QuantBlock& block = blocks[k / kBlockInputs];
          const double a = is_quantized(format) ? static_cast<double>(block.scale) * block.q[k % kBlockInputs] : one[k];
          sum += row[k] * a;
          magnitude += std::fabs(row[k] * a);
        }
        EXPECT_NEAR(out[static_cast<size_t>(m * kOutputs + n)], sum, 4e-6 * magnitude) << facts(format).name;
      }
    }
  }
}

FOVEA_ON_EVERY_KERNEL_SET(Multiply);

TEST_P(Multiply, GivesTheSameBitsForAnyNumberOfThreadsAndForRowsAlone) {
  RandomNumbers random(9);
  constexpr int kInputs = 256, kRows = 29, kStride = 270;
  ThreadPool single(1);
  PanelMemory memory;
  const std::vector<float> x = random.floats(kRows * kStride);
  const PackedMatrix q4 =
      PackedMatrix::pack(NumberFormat::q4_k, 100, kInputs, random.weights(NumberFormat::q4_k, 100, kInputs), memory, single);
  const PackedMatrix half =
      PackedMatrix::pack(NumberFormat::f16, 50, kInputs, random.weights(NumberFormat::f16, 50, kInputs), memory, single);
  const auto run = [&](ThreadPool& pool, int first, int rows) {
    Compute compute(set(), pool, {kRows, kInputs, 16});
    std::vector<float> out(static_cast<size_t>(rows) * 150);
    const Product products[] = {{&q4, out.data(), 150}, {&half, out.data() + 100, 150}};
    multiply(compute, {x.data() + first * kStride, kStride, rows}, products);
    return out;
  };
  const std::vector<float> expected = run(single, 0, kRows);
  for (const int threads : {2, 3, 4}) {
    ThreadPool pool(threads);
    EXPECT_TRUE(same_bits(expected, run(pool, 0, kRows))) << threads << " threads";
  }
  for (int row = 0; row < kRows; ++row) {
    EXPECT_TRUE(same_bits({expected.data() + row * 150, 150}, run(single, row, 1))) << "row " << row;
  }
  EXPECT_TRUE(run(single, 0, 0).empty());
}

TEST_P(Multiply, RowsMadeOnTheWayAreTheRowsMadeBefore) {
  RandomNumbers random(10);
  constexpr int kInputs = 96;
  ThreadPool pool(2);
  PanelMemory memory;
  std::vector<float> x = random.floats(kInputs * 40), up = random.floats(kInputs * 40), weight = random.floats(kInputs);
  const PackedMatrix bytes =
      PackedMatrix::pack(NumberFormat::q8_0, 20, kInputs, random.weights(NumberFormat::q8_0, 20, kInputs), memory, pool);
  const PackedMatrix plain =
      PackedMatrix::pack(NumberFormat::f32, 20, kInputs, random.weights(NumberFormat::f32, 20, kInputs), memory, pool);
  for (const int rows : {1, 3, 12, 13, 40}) {
    Compute compute(set(), pool, {rows, kInputs, 16});
    const auto product_of = [&](const RowSource& source) {
      std::vector<float> out(static_cast<size_t>(rows) * 40);
      const Product products[] = {{&bytes, out.data(), 40}, {&plain, out.data() + 20, 40}};
      multiply(compute, source, products);
      return out;
    };
    const Rows from = {x.data(), rows, kInputs}, other = {up.data(), rows, kInputs};
    const std::vector<float> as_it_is = product_of(from);
    for (const RowSource& source : {RowSource::rms_normed(from, weight.data(), 1e-6f), RowSource::rms_normed(from, nullptr, 1e-6f),
                                    RowSource::layer_normed(from, weight.data(), 1e-6f), RowSource::gated(Activation::silu, from, other)}) {
      std::vector<float> made(static_cast<size_t>(rows) * kInputs);
      make_rows(compute, source, {made.data(), rows, kInputs});
      const std::vector<float> expected = product_of(Rows{made.data(), rows, kInputs});
      EXPECT_TRUE(same_bits(expected, product_of(source))) << rows << " rows";
      EXPECT_FALSE(same_bits(expected, as_it_is)) << rows << " rows";
    }
  }
}

// What rounding to 8 bits costs, and how much of it two digits leave.
TEST_P(Multiply, TwoDigitsLeaveAHundredthOfTheRoundingAndTheSameBitsForRowsAlone) {
  RandomNumbers random(13);
  constexpr int kInputs = 256, kOutputs = 40, kRows = 29;
  ThreadPool pool(2);
  PanelMemory memory;
  std::vector<float> x = random.floats(kRows * kInputs), up = random.floats(kRows * kInputs);
  const PackedMatrix q6 =
      PackedMatrix::pack(NumberFormat::q6_k, kOutputs, kInputs, random.weights(NumberFormat::q6_k, kOutputs, kInputs), memory, pool);
  const PackedMatrix half =
      PackedMatrix::pack(NumberFormat::f16, kOutputs, kInputs, random.weights(NumberFormat::f16, kOutputs, kInputs), memory, pool);
  const Rows gate = {x.data(), kRows, kInputs}, other = {up.data(), kRows, kInputs};
  const RowSource source = RowSource::gated(Activation::silu, gate, other);
  // most_rows: fewer than twice the rows, so that they are taken in parts
  const auto run = [&](int first, int rows, int most_rows, Digits digits) {
    Compute compute(set(), pool, {most_rows, kInputs, 16});
    std::vector<float> out(static_cast<size_t>(rows) * 2 * kOutputs);
    const Product products[] = {{&q6, out.data(), 2 * kOutputs}, {&half, out.data() + kOutputs, 2 * kOutputs}};
    multiply(compute, source.part(first, rows), products, digits);
    return out;
  };
  const std::vector<float> one = run(0, kRows, kRows, Digits::one), two = run(0, kRows, 2 * kRows, Digits::two);
  for (const int most_rows : {2, 7, kRows, 40}) EXPECT_TRUE(same_bits(two, run(0, kRows, most_rows, Digits::two))) << most_rows;
  std::vector<float> made(kInputs), weights(kInputs);
  double lost_by_one = 0, lost_by_two = 0;
  for (int m = 0; m < kRows; ++m) {
    const auto at = static_cast<size_t>(m) * 2 * kOutputs;
    EXPECT_TRUE(same_bits({two.data() + at, 2 * kOutputs}, run(m, 1, 2, Digits::two))) << "row " << m;
    EXPECT_TRUE(same_bits({two.data() + at + kOutputs, kOutputs}, std::span(one).subspan(at + kOutputs, kOutputs))) << "plain weights";
    source.make(set(), m, kInputs, made.data());
    for (int n = 0; n < kOutputs; ++n) {
      q6.read_row(n, weights);
      double sum = 0;
      for (size_t k = 0; k < kInputs; ++k) sum += static_cast<double>(weights[k]) * made[k];
      lost_by_one += std::fabs(one[at + static_cast<size_t>(n)] - sum);
      lost_by_two += std::fabs(two[at + static_cast<size_t>(n)] - sum);
    }
  }
  EXPECT_LT(lost_by_two, 0.01 * lost_by_one);
}

TEST_P(Multiply, LayerNormTakesTheMeanAwayAndGivesUnitDeviation) {
  const std::vector<float> x = RandomNumbers(11).floats(75);
  ThreadPool pool(1);
  Compute compute(set(), pool, {1, 96, 16});
  std::vector<float> in(x), out(x.size());
  make_rows(compute, RowSource::layer_normed({in.data(), 1, 75}, nullptr, 0), {out.data(), 1, 75});
  double mean = 0, squares = 0;
  for (const float value : x) mean += value / 75.0;
  for (const float value : x) squares += (value - mean) * (value - mean) / 75.0;
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(out[i], (x[i] - mean) / std::sqrt(squares), 1e-5);
}

}  // namespace
}  // namespace fovea::kernels
