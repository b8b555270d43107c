#include "files/npy.h"

#include <cstring>

#include "files/test_files.h"

namespace fovea::files {
namespace {

const std::filesystem::path kSeeds = kTestFiles / "seeds" / "npy";

size_t files_in(const TemporaryFolder& folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(folder.string())) ++count;
  return count;
}

TEST(NpyIntegers, OfBothWidthsAndEveryVersionAreRead) {
  for (const char* name : {"int32.npy", "int64.npy", "version-2.npy", "version-3.npy"}) {
    EXPECT_EQ(read_npy_integers(kSeeds / name), (std::vector<int32_t>{1, -2, 3})) << name;
  }
  EXPECT_TRUE(read_npy_integers(kSeeds / "no-values.npy").empty());
  EXPECT_EQ(read_npy_integers(kSeeds / "tight.npy"), (std::vector<int32_t>{7}));
}

TEST(NpyIntegers, TruncatedAnywhereAreRefused) {
  const std::string file = read_text(kSeeds / "int64.npy");
  for (size_t length = 0; length < file.size(); ++length) {
    const std::vector<char> cut(file.begin(), file.begin() + static_cast<ptrdiff_t>(length));
    refusal([&] { parse_npy_integers(std::as_bytes(std::span(cut)), "cut.npy"); });
  }
}

TEST(NpyRowWriter, WritesTheBytesNumpyWrites) {
  const TemporaryFolder folder;
  NpyRowWriter writer(folder / "rows.npy", 2, 3);
  const float rows[2][3] = {{1, 2, 3}, {-0.5f, 0, 1e9f}};
  writer.write(rows[0]);
  writer.write(rows[1]);
  writer.finish();
  const std::string file = read_text(folder / "rows.npy");
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  header.resize(117, ' ');
  const std::string expected = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n";
  ASSERT_EQ(file.size(), expected.size() + sizeof rows);
  EXPECT_EQ(file.substr(0, expected.size()), expected);
  EXPECT_EQ(std::memcmp(file.data() + expected.size(), rows, sizeof rows), 0);
}

TEST(NpyRowWriter, FileAppearsOnlyWhenFinished) {
  const TemporaryFolder folder;
  const float row[1] = {1};
  {
    NpyRowWriter writer(folder / "rows.npy", 2, 1);
    writer.write(row);
    EXPECT_FALSE(std::filesystem::exists(folder / "rows.npy"));
  }
  EXPECT_EQ(files_in(folder), 0u);
}

TEST(NpyRowWriter, UnfinishedRunLeavesAnOlderFileAlone) {
  const TemporaryFolder folder;
  write_text(folder / "rows.npy", "older");
  {
    NpyRowWriter writer(folder / "rows.npy", 2, 1);
  }
  EXPECT_EQ(read_text(folder / "rows.npy"), "older");
}

TEST(NpyRowWriter, RefusesPlacesItCannotReplace) {
  const TemporaryFolder folder;
  EXPECT_TRUE(holds(refusal([&] { NpyRowWriter(folder.string(), 1, 1); }), "not a regular file"));
  EXPECT_TRUE(holds(refusal([] { NpyRowWriter("/dev/null", 1, 1); }), "not a regular file"));
  EXPECT_TRUE(holds(refusal([&] { NpyRowWriter(folder / "absent/rows.npy", 1, 1); }), "cannot create"));
}

}  // namespace
}  // namespace fovea::files
