#include "files/safetensors.h"

#include "files/test_files.h"

namespace fovea::files {
namespace {

const std::filesystem::path kSeeds = kTestFiles / "seeds" / "safetensors";

bool is_refused(std::string_view file) {
  const std::vector<char> exact(file.begin(), file.end());  // a sanitizer sees the first byte read beyond it
  TensorTable tensors;
  try {
    parse_safetensors(std::as_bytes(std::span(exact)), "cut.safetensors", tensors);
  } catch (const Error&) {
    return true;
  }
  return false;
}

TEST(Safetensors, EveryTypeHasItsShapeAndBytes) {
  const std::string file = read_text(kSeeds / "single.safetensors");
  TensorTable tensors;
  parse_safetensors(bytes_of(file), "x.safetensors", tensors);
  const auto expect = [&](const char* name, NumberFormat format, std::vector<int64_t> shape, int begin, size_t size) {
    const Tensor* tensor = tensors.find(name);
    ASSERT_TRUE(tensor) << name;
    EXPECT_EQ(tensor->format, format) << name;
    EXPECT_EQ(tensor->shape, shape) << name;
    ASSERT_EQ(tensor->bytes.size(), size) << name;
    for (size_t i = 0; i < size; ++i) {  // the data counts up from 0
      EXPECT_EQ(std::to_integer<size_t>(tensor->bytes[i]), static_cast<size_t>(begin) + i) << name;
    }
  };
  EXPECT_EQ(tensors.size(), 4u);  // the notes of __metadata__ are no tensor
  expect("f32", NumberFormat::f32, {2, 2}, 0, 16);
  expect("f16", NumberFormat::f16, {3}, 16, 6);
  expect("bf16", NumberFormat::bf16, {1, 2, 1}, 22, 4);
  expect("scalar", NumberFormat::f32, {}, 26, 4);
}

TEST(Safetensors, PaddedHeaderIsRead) { EXPECT_FALSE(is_refused(read_text(kSeeds / "padded.safetensors"))); }

TEST(Safetensors, TruncatedAnywhereIsRefused) {
  const std::string file = read_text(kSeeds / "single.safetensors");
  for (size_t length = 0; length < file.size(); ++length) {
    ASSERT_TRUE(is_refused(std::string_view(file).substr(0, length))) << length;
  }
}

TEST(Safetensors, AnyFlippedBitIsReadWithinTheFileOrRefused) {
  std::string file = read_text(kSeeds / "padded.safetensors");
  for (size_t i = 0; i < file.size(); ++i) {
    const char good = file[i];
    for (int bit = 0; bit < 8; ++bit) {
      file[i] = static_cast<char>(good ^ (1 << bit));
      is_refused(file);
    }
    file[i] = good;
  }
}

TEST(Safetensors, SameNameInTwoFilesIsRefused) {
  const std::string file = read_text(kSeeds / "padded.safetensors");
  TensorTable tensors;
  parse_safetensors(bytes_of(file), "a.safetensors", tensors);
  const std::string message = refusal([&] { parse_safetensors(bytes_of(file), "b.safetensors", tensors); });
  EXPECT_TRUE(holds(message, "first as a.safetensors")) << message;
  EXPECT_TRUE(holds(message, "b.safetensors, tensor 'w'")) << message;
}

TEST(PlainFileName, LeadsNowhereElse) {
  for (const char* good : {"model.safetensors", "a", "a..b", "tokenizer_config.json", "ä.json"}) {
    EXPECT_TRUE(is_plain_file_name(good)) << good;
  }
  for (const char* bad : {"", ".", "..", "../a", "a/b", "/a", "a\\b", ".hidden"}) {
    EXPECT_FALSE(is_plain_file_name(bad)) << bad;
  }
  EXPECT_FALSE(is_plain_file_name(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_plain_file_name(std::string(256, 'a')));
}

}  // namespace
}  // namespace fovea::files
