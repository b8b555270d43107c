#include "base/mapped_file.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "fovea/lost_file.h"
#include "support/temporary_folder.h"

namespace fovea {
namespace {

TEST(MappedFileDeathTest, OfAFileThatIsCutShortEndsWithItsName) {
  const testing_support::TemporaryFolder folder;
  const std::string path = (folder / "weights.bin").string();
  std::ofstream(path) << std::string(100'000, 'x');
  const auto read_behind_the_end = [&] {
    exit_when_a_file_is_cut_short();
    MappedFile file(path);
    const MappedFile moved = std::move(file);
    std::filesystem::resize_file(path, 10);
    volatile std::byte last = moved.bytes()[99'999];
    static_cast<void>(last);
  };
  EXPECT_EXIT(read_behind_the_end(), testing::ExitedWithCode(1), "weights.bin: the file was cut short");
}

}  // namespace
}  // namespace fovea
