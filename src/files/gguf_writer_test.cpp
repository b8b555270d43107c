#include "files/gguf_writer.h"

#include <map>

#include "files/gguf.h"
#include "files/test_files.h"

namespace fovea::files {
namespace {

std::vector<std::byte> pattern(size_t size, int first) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(static_cast<size_t>(first) + 7 * i);
  return bytes;
}

GgufHeader small_header() {
  GgufHeader header;
  header.keys = {{"general.architecture", std::string("tiny")}};
  header.tensors = {{"odd", NumberFormat::f32, {3}}, {"blocks", NumberFormat::q4_0, {2, 64}}, {"halves", NumberFormat::f16, {2, 3, 5}}};
  return header;
}

void write_file(const std::string& path, const GgufHeader& header) {
  GgufWriter writer(path, header);
  for (size_t i = 0; i < header.tensors.size(); ++i) {
    writer.write(pattern(bytes_of(header.tensors[i]), static_cast<int>(i)));
  }
  writer.finish();
}

std::vector<std::string> names_in(const TemporaryFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.string())) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

void expect_refused(const GgufHeader& header, const std::string& part) {
  const TemporaryFolder folder;
  const std::string message = refusal([&] { write_file(folder / "x.gguf", header); });
  EXPECT_TRUE(holds(message, part)) << message;
  EXPECT_TRUE(names_in(folder).empty());
}

TEST(GgufWriter, WhatIsWrittenIsReadBack) {
  for (const uint32_t alignment : {8u, 32u, 4096u}) {
    const TemporaryFolder folder;
    GgufHeader header = small_header();
    header.alignment = alignment;
    const std::string path = folder / "x.gguf";
    write_file(path, header);
    const std::string file = read_text(path);
    const GgufContents contents = parse_gguf(bytes_of(file), path);
    EXPECT_EQ(contents.metadata.text("general.architecture"), "tiny");
    ASSERT_EQ(contents.tensors.size(), header.tensors.size());
    for (size_t i = 0; i < header.tensors.size(); ++i) {
      const Tensor* tensor = contents.tensors.find(header.tensors[i].name);
      ASSERT_TRUE(tensor) << header.tensors[i].name;
      EXPECT_EQ(tensor->format, header.tensors[i].format);
      EXPECT_EQ(tensor->shape, header.tensors[i].shape);
      const auto expected = pattern(bytes_of(header.tensors[i]), static_cast<int>(i));
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), tensor->bytes.begin(), tensor->bytes.end()));
      EXPECT_EQ(static_cast<size_t>(tensor->bytes.data() - bytes_of(file).data()) % alignment, 0u);
    }
  }
}

TEST(GgufWriter, EveryValueTypeIsReadBack) {
  GgufHeader header;
  header.keys = {{"u8", uint8_t{255}},
                 {"i8", int8_t{-128}},
                 {"u16", uint16_t{65535}},
                 {"i16", int16_t{-32768}},
                 {"u32", uint32_t{4294967295}},
                 {"i32", int32_t{INT32_MIN}},
                 {"u64", uint64_t{INT64_MAX}},
                 {"i64", int64_t{INT64_MIN}},
                 {"f32", 0.5f},
                 {"f64", -0.1},
                 {"yes", true},
                 {"text", std::string("Grüße 🌍")},
                 {"u8s", std::vector<uint8_t>{1, 255}},
                 {"i8s", std::vector<int8_t>{-1, 2}},
                 {"u16s", std::vector<uint16_t>{1, 65535}},
                 {"i16s", std::vector<int16_t>{-1}},
                 {"u32s", std::vector<uint32_t>{7, 8}},
                 {"i32s", std::vector<int32_t>{-7}},
                 {"u64s", std::vector<uint64_t>{1}},
                 {"i64s", std::vector<int64_t>{-1}},
                 {"f32s", std::vector<float>{1.5f, -2}},
                 {"f64s", std::vector<double>{0.1}},
                 {"flags", std::vector<bool>{true, false, true}},
                 {"texts", std::vector<std::string>{"a", "", "▁b"}},
                 {"empty", std::vector<int32_t>{}}};
  const TemporaryFolder folder;
  write_file(folder / "x.gguf", header);
  const std::string file = read_text(folder / "x.gguf");
  const Metadata metadata = parse_gguf_metadata(bytes_of(file), "x.gguf");
  using Integers = std::vector<int64_t>;
  using Numbers = std::vector<double>;
  const std::map<std::string, Value, std::less<>> expected = {{"u8", int64_t{255}},
                                                              {"i8", int64_t{-128}},
                                                              {"u16", int64_t{65535}},
                                                              {"i16", int64_t{-32768}},
                                                              {"u32", int64_t{4294967295}},
                                                              {"i32", int64_t{INT32_MIN}},
                                                              {"u64", int64_t{INT64_MAX}},
                                                              {"i64", int64_t{INT64_MIN}},
                                                              {"f32", 0.5},
                                                              {"f64", -0.1},
                                                              {"yes", true},
                                                              {"text", std::string("Grüße 🌍")},
                                                              {"u8s", Integers{1, 255}},
                                                              {"i8s", Integers{-1, 2}},
                                                              {"u16s", Integers{1, 65535}},
                                                              {"i16s", Integers{-1}},
                                                              {"u32s", Integers{7, 8}},
                                                              {"i32s", Integers{-7}},
                                                              {"u64s", Integers{1}},
                                                              {"i64s", Integers{-1}},
                                                              {"f32s", Numbers{1.5, -2}},
                                                              {"f64s", Numbers{0.1}},
                                                              {"flags", std::vector<bool>{true, false, true}},
                                                              {"texts", std::vector<std::string>{"a", "", "▁b"}},
                                                              {"empty", Integers{}}};
  EXPECT_EQ(metadata.values(), expected);
}

TEST(GgufWriter, TheSizeIsKnownBeforeTheDataIsWritten) {
  const TemporaryFolder folder;
  uint64_t announced = 0;
  {
    GgufWriter writer(folder / "x.gguf", small_header());
    announced = writer.file_bytes();
    for (const GgufTensor& tensor : small_header().tensors) writer.write(pattern(bytes_of(tensor), 0));
    writer.finish();
  }
  EXPECT_EQ(std::filesystem::file_size(folder / "x.gguf"), announced);
}

TEST(GgufWriter, PiecesMakeTheSameFileAsWholeTensors) {
  const TemporaryFolder folder;
  write_file(folder / "whole.gguf", small_header());
  {
    GgufWriter writer(folder / "pieces.gguf", small_header());
    for (size_t i = 0; i < small_header().tensors.size(); ++i) {
      const auto bytes = pattern(bytes_of(small_header().tensors[i]), static_cast<int>(i));
      for (const std::byte& byte : bytes) writer.write({&byte, 1});
    }
    writer.finish();
  }
  EXPECT_EQ(read_text(folder / "pieces.gguf"), read_text(folder / "whole.gguf"));
}

TEST(GgufWriter, AnUnfinishedFileLeavesNothingAndHarmsNothing) {
  const TemporaryFolder folder;
  write_text(folder / "x.gguf", "older");
  {
    GgufWriter writer(folder / "x.gguf", small_header());
    writer.write(pattern(12, 0));
    EXPECT_EQ(names_in(folder).size(), 2u);
  }
  EXPECT_EQ(names_in(folder), (std::vector<std::string>{"x.gguf"}));
  EXPECT_EQ(read_text(folder / "x.gguf"), "older");
}

TEST(GgufWriter, WhatNoDiskHoldsIsRefusedWithNumbers) {
  GgufHeader header = small_header();
  header.tensors.push_back({"huge", NumberFormat::f32, {int64_t{1} << 32, int64_t{1} << 24}});
  expect_refused(header, "needs 288230376.1");
}

TEST(GgufWriter, HeadersThatBreakTheFormatAreRefused) {
  const auto with_tensor = [](GgufTensor tensor) {
    GgufHeader header = small_header();
    header.tensors.push_back(std::move(tensor));
    return header;
  };
  const auto with_key = [](GgufKey key) {
    GgufHeader header = small_header();
    header.keys.push_back(std::move(key));
    return header;
  };
  expect_refused(with_tensor({"odd", NumberFormat::f32, {1}}), "twice");
  expect_refused(with_tensor({"", NumberFormat::f32, {1}}), "no name");
  expect_refused(with_tensor({std::string(64, 'n'), NumberFormat::f32, {1}}), "at most 63");
  expect_refused(with_tensor({"t\xff", NumberFormat::f32, {1}}), "UTF-8");
  expect_refused(with_tensor({"t", NumberFormat::f32, {}}), "0 dimensions");
  expect_refused(with_tensor({"t", NumberFormat::f32, {1, 1, 1, 1, 1}}), "5 dimensions");
  expect_refused(with_tensor({"t", NumberFormat::f32, {4, 0}}), "extent of 0");
  expect_refused(with_tensor({"t", NumberFormat::f32, {4, -1}}), "extent of -1");
  expect_refused(with_tensor({"t", NumberFormat::q6_k, {4, 640}}), "rows of 640");
  expect_refused(with_tensor({"t", NumberFormat::f32, {INT64_MAX, 2}}), "64 bits");
  expect_refused(with_tensor({"t", NumberFormat::f32, {INT64_MAX / 4}}), "a file can hold");
  expect_refused(with_key({"general.architecture", 1u}), "twice");
  expect_refused(with_key({"general.alignment", 64u}), "twice");
  expect_refused(with_key({"", 1u}), "no name");
  expect_refused(with_key({"k", std::string("\xff")}), "UTF-8");
  expect_refused(with_key({"k", std::vector<std::string>{"good", "\xc0\x80"}}), "UTF-8");
  GgufHeader unaligned = small_header();
  unaligned.alignment = 48;
  expect_refused(unaligned, "power of two");
}

TEST(GgufWriter, PlacesThatCannotHoldAFileAreRefused) {
  const TemporaryFolder folder;
  EXPECT_TRUE(holds(refusal([&] { write_file(folder / "missing" / "x.gguf", small_header()); }), "No such file"));
  EXPECT_TRUE(holds(refusal([&] { write_file(folder.string(), small_header()); }), "not a plain file"));
  EXPECT_TRUE(holds(refusal([&] { write_file("/dev/null", small_header()); }), "not a plain file"));
  EXPECT_TRUE(names_in(folder).empty());
}

}  // namespace
}  // namespace fovea::files
