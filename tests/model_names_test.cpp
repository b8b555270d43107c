// A model is a table of facts: whoever computes, stores or schedules does not ask for its name. Names of families stand in
// model/families/, in the registry, and where files are read, written or fetched.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace fovea {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = fs::path(FOVEA_TEST_DATA).parent_path().parent_path() / "src";
const std::vector<std::string> kRooms = {"base", "kernels", "kv", "model", "planner", "sampling", "engine", "eval", "server"};
// vocabulary.cpp translates what GGUF calls its kinds of tokenizer.
const std::vector<std::string> kMayName = {"model/families", "model/registry.cpp", "engine/vocabulary.cpp",
                                           "planner/known_models.cpp",  // configurations that have a name
                                           "planner/table_from_"};      // keys and tensors of files as their writers named them
const std::vector<std::string> kNames = {"gemma",  "llama",  "qwen",     "mistral", "mixtral", "phi3",    "gpt_oss",
                                         "gptoss", "cohere", "deepseek", "mamba",   "jamba",   "granite", "olmo"};

bool may_name(const fs::path& file) {
  const std::string name = fs::relative(file, kSource).string();
  if (name.find("_test.") != std::string::npos || name.find("_bench.") != std::string::npos) return true;
  return std::any_of(kMayName.begin(), kMayName.end(), [&](const std::string& prefix) { return name.starts_with(prefix); });
}

std::vector<fs::path> sources() {
  std::vector<fs::path> files;
  for (const std::string& room : kRooms) {
    if (!fs::exists(kSource / room)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kSource / room)) {
      const std::string kind = entry.path().extension();
      if ((kind == ".cpp" || kind == ".h" || kind == ".inl") && !may_name(entry.path())) files.push_back(entry.path());
    }
  }
  return files;
}

std::string first_name_in(std::string line) {
  line = line.substr(0, line.find("//"));
  std::transform(line.begin(), line.end(), line.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const std::string& name : kNames) {
    if (line.find(name) != std::string::npos) return name;
  }
  return "";
}

TEST(ModelNames, StandInFamiliesAndNowhereElse) {
  const std::vector<fs::path> files = sources();
  ASSERT_GT(files.size(), 50u);
  for (const fs::path& file : files) {
    std::ifstream text(file);
    int number = 0;
    for (std::string line; std::getline(text, line);) {
      ++number;
      EXPECT_EQ(first_name_in(line), "") << file << ":" << number << ": " << line;
    }
  }
}

TEST(ModelNames, AreFoundInCode) {
  EXPECT_EQ(first_name_in("if (family == \"Gemma3\") {"), "gemma");
  EXPECT_EQ(first_name_in("int width = 4;  // as in Gemma 3"), "");
}

}  // namespace
}  // namespace fovea
