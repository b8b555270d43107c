#include "files/gguf.h"

#include <cstring>
#include <map>

#include "files/test_files.h"

namespace fovea::files {
namespace {

const std::filesystem::path kSeeds = kTestFiles / "seeds" / "gguf";

std::string seed(const std::string& name) { return read_text(kSeeds / (name + ".gguf")); }

// The file in heap memory of exactly its size, so that a sanitizer sees the first byte read beyond it.
void parse_exactly(std::string_view file) {
  const std::vector<char> exact(file.begin(), file.end());
  const auto bytes = std::as_bytes(std::span(exact));
  const GgufContents contents = parse_gguf(bytes, "cut.gguf");
  for (const auto& [name, tensor] : contents.tensors.all()) {
    ASSERT_GE(tensor.bytes.data(), bytes.data());
    ASSERT_LE(tensor.bytes.data() + tensor.bytes.size(), bytes.data() + bytes.size());
  }
}

bool is_refused(std::string_view file) {
  try {
    parse_exactly(file);
  } catch (const Error&) {
    return true;
  }
  return false;
}

TEST(Gguf, EveryValueTypeIsRead) {
  const std::string file = seed("value-types");
  const Metadata metadata = parse_gguf(bytes_of(file), "x.gguf").metadata;
  using Integers = std::vector<int64_t>;
  using Numbers = std::vector<double>;
  const std::map<std::string, Value> expected = {
      {"general.architecture", std::string("tiny")},
      {"u8", int64_t{255}},
      {"i8", int64_t{-128}},
      {"u16", int64_t{65535}},
      {"i16", int64_t{-32768}},
      {"u32", int64_t{4294967295}},
      {"i32", int64_t{-2147483648}},
      {"u64", int64_t{INT64_MAX}},
      {"i64", int64_t{INT64_MIN}},
      {"f32", 0.5},
      {"f64", -0.1},
      {"yes", true},
      {"no", false},
      {"text", std::string("Grüße 🌍")},
      {"empty text", std::string()},
      {"u8s", Integers{1, 2}},
      {"i8s", Integers{-1, 2}},
      {"u16s", Integers{1, 65535}},
      {"i16s", Integers{-1}},
      {"u32s", Integers{7, 8, 9}},
      {"i32s", Integers{-7}},
      {"u64s", Integers{int64_t{1} << 40}},
      {"i64s", Integers{-(int64_t{1} << 40)}},
      {"f32s", Numbers{0.25, 4}},
      {"f64s", Numbers{0.1}},
      {"flags", std::vector<bool>{true, false, true}},
      {"texts", std::vector<std::string>{"a", "", "▁c"}},
      {"empty list", std::vector<std::string>{}},
  };
  for (const auto& [key, value] : expected) {
    ASSERT_TRUE(metadata.has(key)) << key;
    EXPECT_EQ(*metadata.find(key), value) << key;
  }
  EXPECT_EQ(metadata.values().size(), expected.size());
}

TEST(Gguf, EveryTensorFormatHasItsShapeAndBytes) {
  const std::string file = seed("tensor-types");
  const TensorTable tensors = parse_gguf(bytes_of(file), "x.gguf").tensors;
  ASSERT_EQ(tensors.size(), static_cast<size_t>(kNumberFormats));
  for (int i = 0; i < kNumberFormats; ++i) {
    const NumberFormatFacts& format = facts(static_cast<NumberFormat>(i));
    const Tensor* tensor = tensors.find("blk." + std::string(format.name));
    ASSERT_TRUE(tensor) << format.name;
    EXPECT_EQ(tensor->format, format.format);
    EXPECT_EQ(tensor->shape, (std::vector<int64_t>{2, 256}));  // outermost first
    ASSERT_EQ(tensor->bytes.size(), 2 * 256 / format.block_values * format.block_bytes);
    for (size_t j = 0; j < tensor->bytes.size(); ++j) {
      ASSERT_EQ(std::to_integer<size_t>(tensor->bytes[j]), j * 7 % 251) << format.name << " byte " << j;
    }
  }
}

TEST(Gguf, Version2ReadsLikeVersion3) {
  const std::string old_file = seed("version-2"), new_file = seed("small");
  const GgufContents a = parse_gguf(bytes_of(old_file), "a"), b = parse_gguf(bytes_of(new_file), "b");
  EXPECT_EQ(a.metadata.values(), b.metadata.values());
  const Tensor *row_a = a.tensors.find("row"), *row_b = b.tensors.find("row");
  ASSERT_TRUE(row_a && row_b);
  EXPECT_EQ(std::memcmp(row_a->bytes.data(), row_b->bytes.data(), 32), 0);
}

TEST(Gguf, AlignmentOfTheFileIsFollowed) {
  const std::string file = seed("alignment-64");
  const Tensor* second = nullptr;
  const GgufContents contents = parse_gguf(bytes_of(file), "x.gguf");
  second = contents.tensors.find("second");
  ASSERT_TRUE(second);
  const auto place = second->bytes.data() - bytes_of(file).data();
  EXPECT_EQ(place % 64, 0);
  EXPECT_EQ(static_cast<size_t>(place) + second->bytes.size(), file.size());
}

TEST(Gguf, ArraysOfArraysAreLeftOutAndWhatFollowsIsRead) {
  const std::string file = seed("nested-arrays");
  const Metadata metadata = parse_gguf(bytes_of(file), "x.gguf").metadata;
  EXPECT_FALSE(metadata.has("nested"));
  EXPECT_EQ(metadata.integer("after"), 1);
}

TEST(Gguf, TruncatedAnywhereIsRefused) {
  for (const char* name : {"small", "value-types", "tensor-types", "nested-arrays", "alignment-64"}) {
    const std::string file = seed(name);
    ASSERT_FALSE(is_refused(file)) << name;
    for (size_t length = 0; length < file.size(); ++length) {
      ASSERT_TRUE(is_refused(std::string_view(file).substr(0, length))) << name << " cut at byte " << length;
    }
  }
}

TEST(Gguf, AnyFlippedBitIsReadWithinTheFileOrRefused) {
  for (const char* name : {"value-types", "nested-arrays", "alignment-64", "vocabulary"}) {
    std::string file = seed(name);
    for (size_t i = 0; i < file.size(); ++i) {
      const char good = file[i];
      for (int bit = 0; bit < 8; ++bit) {
        file[i] = static_cast<char>(good ^ (1 << bit));
        is_refused(file);
      }
      file[i] = good;
    }
  }
}

TEST(Gguf, SplitModelIsOpenedByItsFirstPart) {
  const ModelFiles model = open_model(kSeeds / "split-00001-of-00002.gguf");
  EXPECT_EQ(model.metadata.text("general.architecture"), "tiny");
  EXPECT_EQ(model.files.size(), 2u);
  ASSERT_TRUE(model.tensors.find("row"));
  ASSERT_TRUE(model.tensors.find("second"));
  EXPECT_EQ(model.tensors.find("second")->shape, (std::vector<int64_t>{2, 2}));
}

TEST(Gguf, PartOfAnotherSplitIsRefused) {
  const TemporaryFolder folder;
  write_text(folder / "m-00001-of-00002.gguf", seed("split-00001-of-00002"));
  write_text(folder / "m-00002-of-00002.gguf", seed("small"));
  const std::string message = refusal([&] { open_model(folder / "m-00001-of-00002.gguf"); });
  EXPECT_TRUE(holds(message, "is not part 2 of 2")) << message;
}

TEST(Gguf, UnknownTensorTypeIsNamedWithTheTensorAndWhatWouldWork) {
  const std::string message = refusal([] { open_model(kTestFiles / "malformed" / "gguf-tensor-type-iq2-xs.gguf"); });
  EXPECT_TRUE(holds(message, "tensor 'row' is stored as iq2_xs")) << message;
  EXPECT_TRUE(holds(message, "q4_k, q5_k, q6_k")) << message;
}

TEST(Gguf, TensorBytesStayValidWhenTheModelMovesAndAfterForgetting) {
  ModelFiles opened = open_model(kSeeds / "small.gguf");
  const ModelFiles model = std::move(opened);
  const Tensor* row = model.tensors.find("row");
  ASSERT_TRUE(row);
  model.forget(row->bytes);
  float last = 0;
  std::memcpy(&last, row->bytes.data() + 28, sizeof last);
  EXPECT_EQ(last, 7.0f);
}

}  // namespace
}  // namespace fovea::files
