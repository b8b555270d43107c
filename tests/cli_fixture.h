// What the tests of the command line share.
#pragma once

#include <gtest/gtest.h>

#include "cli_tiny_model.h"

namespace fovea::cli_tests {

inline const fs::path kData = FOVEA_TEST_DATA;

inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Failures say what, where (unless there is no place) and how to mend it, and nothing on stdout.
inline void expect_failure(const Outcome& outcome, const std::string& where) {
  EXPECT_EQ(outcome.status, 1) << outcome.error;
  EXPECT_TRUE(outcome.out.empty()) << outcome.out;
  EXPECT_TRUE(outcome.error.starts_with("fovea: ")) << outcome.error;
  EXPECT_TRUE(has(outcome.error, "\n  mend: ")) << outcome.error;
  if (!where.empty()) {
    EXPECT_TRUE(has(outcome.error, "\n  where: ")) << outcome.error;
    EXPECT_TRUE(has(outcome.error, where)) << outcome.error;
  }
}

// A model of its own for all tests of a program.
class Cli : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_folder_ = new TemporaryFolder;
    write_tiny_model(*model_folder_);
  }
  static void TearDownTestSuite() {
    delete model_folder_;
    model_folder_ = nullptr;
  }

  static std::string model() { return model_folder_->string(); }
  static Arguments with_model(Arguments arguments) {
    arguments.insert(arguments.begin() + 1, {"-m", model()});
    return arguments;
  }
  static nlohmann::json json_of(const Arguments& arguments, const std::string& input = "") {
    const Outcome outcome = run(arguments, input);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
    return nlohmann::json::parse(outcome.out);
  }

 private:
  inline static TemporaryFolder* model_folder_ = nullptr;
};

}  // namespace fovea::cli_tests
