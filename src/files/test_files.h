// For the tests of this room: the small files below tests/data/files, and folders that go away.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

#include "fovea/error.h"
#include "support/temporary_folder.h"

namespace fovea::files {

inline const std::filesystem::path kTestFiles = std::filesystem::path(FOVEA_TEST_DATA) / "files";

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline void write_text(const std::filesystem::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

using testing_support::TemporaryFolder;

// What the reader of an Error sees; fails the test when nothing is thrown or a part of the message is
// missing.
template <typename Action> std::string refusal(Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_FALSE(error.problem().empty());
    EXPECT_FALSE(error.where().empty()) << error.what();
    EXPECT_FALSE(error.mend().empty()) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

inline bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace fovea::files
