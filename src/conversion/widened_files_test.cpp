// What stands unfolded for a quantized matrix: the numbers that the gguf package reads (tools/make_kernel_data.py).
#include "conversion/widened_files.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "kernels/test_numbers.h"

namespace fovea::conversion {
namespace {

constexpr int64_t kRows = 3, kInputs = 512;

std::vector<std::byte> stored(const std::string& name) {
  std::ifstream file(std::string(FOVEA_TEST_DATA) + "/kernels/" + name, std::ios::binary | std::ios::ate);
  std::vector<std::byte> content(file ? static_cast<size_t>(file.tellg()) : 0);
  file.seekg(0).read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(content.size()));
  return content;
}

files::ModelFiles file_of(NumberFormat format, std::span<const std::byte> bytes) {
  files::ModelFiles files;
  files.path = "x.gguf";
  files.tensors.add({"a.weight", format, {kRows, kInputs}, bytes, "tensor 0"});
  return files;
}

class WidenedFiles : public testing::TestWithParam<NumberFormat> {};

TEST_P(WidenedFiles, HoldTheNumbersOfTheStoredBlocks) {
  const std::string name(facts(GetParam()).name);
  const std::vector<std::byte> blocks = stored(name + ".blocks"), numbers = stored(name + ".f32");
  ASSERT_EQ(numbers.size(), static_cast<size_t>(kRows * kInputs) * sizeof(float));
  const files::ModelFiles files = file_of(GetParam(), blocks);
  const files::ModelFiles widened = widened_files(files, 2, {}), planned = planned_widened_files(files);
  const files::Tensor& tensor = *widened.tensors.find("a.weight");
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{kRows, kInputs}));
  EXPECT_EQ(tensor.format, planned.tensors.find("a.weight")->format);
  if (facts(GetParam()).block_values == 1) {
    EXPECT_EQ(tensor.format, GetParam()) << "is plain";
    EXPECT_EQ(tensor.bytes.data(), blocks.data());
    return;
  }
  EXPECT_EQ(tensor.format, NumberFormat::f32);
  std::vector<float> expected(static_cast<size_t>(kRows * kInputs)), found(expected.size());
  ASSERT_EQ(tensor.bytes.size(), numbers.size());
  std::memcpy(expected.data(), numbers.data(), numbers.size());
  std::memcpy(found.data(), tensor.bytes.data(), numbers.size());
  for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], expected[i]) << i;
}

std::vector<NumberFormat> formats_with_data() {
  std::vector<NumberFormat> formats = kernels::all_formats();
  std::erase(formats, NumberFormat::f32);
  return formats;
}

INSTANTIATE_TEST_SUITE_P(Formats, WidenedFiles, testing::ValuesIn(formats_with_data()),
                         [](const auto& each) { return std::string(facts(each.param).name); });

}  // namespace
}  // namespace fovea::conversion
