// Every malformed file of the regression set through the program itself: status 1, and file, place and mend
// on stderr.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cli_program.h"

namespace fovea::cli_tests {
namespace {

const fs::path kData = FOVEA_TEST_DATA;
const fs::path kMalformed = kData / "files" / "malformed";
constexpr const char* kGoodShard = "model-00001-of-00002.safetensors";

struct Case {
  std::string file;
  std::string words;  // of the message
};

std::vector<Case> cases_of(const std::string& kind) {
  std::vector<Case> found;
  std::istringstream lines(read_file(kMalformed / "expected.tsv"));
  for (std::string line; std::getline(lines, line);) {
    const size_t tab = line.find('\t');
    if (line.starts_with(kind + "-")) found.push_back({line.substr(0, tab), line.substr(tab + 1)});
  }
  return found;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void expect_refused(const Outcome& outcome, const std::string& place, const Case& malformed) {
  SCOPED_TRACE(malformed.file);
  EXPECT_EQ(outcome.status, 1) << outcome.error;
  EXPECT_TRUE(outcome.out.empty()) << outcome.out;
  EXPECT_TRUE(outcome.error.starts_with("fovea: ")) << outcome.error;
  EXPECT_TRUE(has(outcome.error, malformed.words)) << outcome.error;
  EXPECT_TRUE(has(outcome.error, "\n  where: " + place)) << outcome.error;
  EXPECT_TRUE(has(outcome.error, "\n  mend: ")) << outcome.error;
  for (const unsigned char c : outcome.error) EXPECT_TRUE(c == '\n' || (c >= 0x20 && c != 0x7F)) << outcome.error;
}

TEST(MalformedThroughTheProgram, Gguf) {
  const std::vector<Case> cases = cases_of("gguf");
  ASSERT_GE(cases.size(), 40u);
  for (const Case& each : cases) {
    const std::string name = each.file.substr(0, each.file.find("-0000"));  // any part of a model in parts
    expect_refused(run({"inspect", kMalformed / each.file}), (kMalformed / name).string(), each);
  }
}

TEST(MalformedThroughTheProgram, Config) {
  const std::vector<Case> cases = cases_of("config");
  ASSERT_GE(cases.size(), 10u);
  for (const Case& each : cases) {
    const TemporaryFolder folder;
    fs::copy_file(kMalformed / each.file, folder / "config.json");
    expect_refused(run({"inspect", folder.string()}), (folder / "config.json").string(), each);
  }
}

TEST(MalformedThroughTheProgram, Safetensors) {
  const std::vector<Case> cases = cases_of("safetensors");
  ASSERT_GE(cases.size(), 30u);
  for (const Case& each : cases) {
    const TemporaryFolder folder;
    fs::copy_file(kData / "oracle" / "llama" / "config.json", folder / "config.json");
    fs::copy_file(kMalformed / each.file, folder / "model.safetensors");
    expect_refused(run({"inspect", folder.string()}), folder.string(), each);
  }
}

TEST(MalformedThroughTheProgram, Index) {
  const std::vector<Case> cases = cases_of("index");
  ASSERT_GE(cases.size(), 8u);
  for (const Case& each : cases) {
    const TemporaryFolder folder;
    fs::copy_file(kData / "oracle" / "llama" / "config.json", folder / "config.json");
    fs::copy_file(kData / "files" / "seeds" / "safetensors" / kGoodShard, folder / kGoodShard);
    fs::copy_file(kMalformed / each.file, folder / "model.safetensors.index.json");
    expect_refused(run({"inspect", folder.string()}), folder.string(), each);
  }
}

TEST(MalformedThroughTheProgram, Npy) {
  const std::vector<Case> cases = cases_of("npy");
  ASSERT_GE(cases.size(), 15u);
  for (const Case& each : cases) {
    const TemporaryFolder folder;
    const fs::path out = folder / "logits.npy";
    expect_refused(run({"logits", "-m", kData / "oracle" / "llama", "--tokens", kMalformed / each.file, "--out", out}),
                   (kMalformed / each.file).string(), each);
    EXPECT_FALSE(fs::exists(out)) << each.file;
  }
}

TEST(MalformedThroughTheProgram, EveryFileIsOfAKindAbove) {
  size_t known = 0, there = 0;
  for (const char* kind : {"gguf", "config", "safetensors", "index", "npy"}) known += cases_of(kind).size();
  for (const auto& file : fs::directory_iterator(kMalformed)) there += file.path().filename() != "expected.tsv";
  EXPECT_EQ(known, there);
}

}  // namespace
}  // namespace fovea::cli_tests
