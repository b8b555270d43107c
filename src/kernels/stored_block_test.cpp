// Weights from the file to the packed form and back, against the values that the gguf package gives
// (tools/make_kernel_data.py).
#include "kernels/stored_block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "kernels/packed_matrix.h"
#include "kernels/test_numbers.h"

namespace fovea::kernels {
namespace {

constexpr int kStoredRows = 3, kInputs = 512;

template <typename T> std::vector<T> read_all(const std::string& name) {
  std::ifstream file(std::string(FOVEA_TEST_DATA) + "/kernels/" + name, std::ios::binary | std::ios::ate);
  if (!file) return {};
  std::vector<T> content(static_cast<size_t>(file.tellg()) / sizeof(T));
  file.seekg(0).read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(content.size() * sizeof(T)));
  return content;
}

std::vector<NumberFormat> formats_with_data() {
  std::vector<NumberFormat> formats = all_formats();
  std::erase(formats, NumberFormat::f32);
  return formats;
}

std::string name_of_format(const testing::TestParamInfo<NumberFormat>& info) { return std::string(facts(info.param).name); }

class StoredWeights : public testing::TestWithParam<NumberFormat> {};

TEST_P(StoredWeights, AreReadBackFromThePackedFormAsTheReferenceReadsThem) {
  const std::string name(facts(GetParam()).name);
  const auto stored = read_all<std::byte>(name + ".blocks");
  const auto values = read_all<float>(name + ".f32");
  ASSERT_EQ(values.size(), static_cast<size_t>(kStoredRows * kInputs));
  ASSERT_EQ(stored.size(), values.size() / facts(GetParam()).block_values * facts(GetParam()).block_bytes);

  // Every lane of a panel, and a panel that is only partly filled: the rows over and over.
  constexpr int kOutputs = 37;
  const size_t row_bytes = stored.size() / kStoredRows;
  std::vector<std::byte> rows;
  for (int output = 0; output < kOutputs; ++output) {
    const auto from = stored.begin() + static_cast<std::ptrdiff_t>(row_bytes) * (output % kStoredRows);
    rows.insert(rows.end(), from, from + static_cast<std::ptrdiff_t>(row_bytes));
  }
  ThreadPool pool(2);
  PanelMemory memory;
  const PackedMatrix matrix = PackedMatrix::pack(GetParam(), kOutputs, kInputs, rows, memory, pool);
  std::vector<float> row(kInputs);
  for (int output = 0; output < kOutputs; ++output) {
    matrix.read_row(output, row);
    for (int k = 0; k < kInputs; ++k) {
      const auto i = static_cast<size_t>(k);
      ASSERT_EQ(row[i], values[static_cast<size_t>(output % kStoredRows) * kInputs + i]) << "output " << output << " input " << k;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OfEveryFormat, StoredWeights, testing::ValuesIn(formats_with_data()), name_of_format);

// Scales become whole bytes where 6 bits were stored, and the headers of a group fill cache lines.
TEST(PackedWeights, AreAtMostSixPercentAndOneCacheLinePerPanelLargerThanStored) {
  for (const NumberFormat format : all_formats()) {
    const NumberFormatFacts& f = facts(format);
    for (int inputs = 256; inputs <= 8192; inputs += 256) {
      const auto stored = static_cast<double>(kPanelOutputs) * inputs / f.block_values * f.block_bytes;
      EXPECT_GE(static_cast<double>(panel_bytes(format, inputs)), stored) << f.name << " " << inputs;
      EXPECT_LE(static_cast<double>(panel_bytes(format, inputs)), 1.06 * stored + 63) << f.name << " " << inputs;
    }
  }
}

TEST(PackedWeights, OfPlainFormatsMayHaveAnyNumberOfInputs) {
  ThreadPool pool(1);
  PanelMemory memory;
  RandomNumbers random(1);
  for (const int inputs : {1, 7, 33}) {
    const std::vector<std::byte> stored = random.weights(NumberFormat::f32, 3, inputs);
    const PackedMatrix matrix = PackedMatrix::pack(NumberFormat::f32, 3, inputs, stored, memory, pool);
    std::vector<float> row(static_cast<size_t>(inputs));
    matrix.read_row(2, row);
    EXPECT_EQ(std::memcmp(row.data(), stored.data() + 2 * row.size() * 4, row.size() * 4), 0);
  }
}

}  // namespace
}  // namespace fovea::kernels
