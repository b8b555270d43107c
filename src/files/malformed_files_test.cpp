// Every file in tests/data/files/malformed is refused for the defect in its name, with a message that helps.
#include <algorithm>
#include <sstream>
#include <vector>

#include "files/model_files.h"
#include "files/npy.h"
#include "files/test_files.h"

namespace fovea::files {
namespace {

namespace fs = std::filesystem;

const fs::path kMalformed = kTestFiles / "malformed";
constexpr const char* kGoodShard = "model-00001-of-00002.safetensors";

struct Case {
  std::string file;
  std::string words;  // of the message
};

std::vector<Case> cases() {
  std::vector<Case> found;
  std::istringstream lines(read_text(kMalformed / "expected.tsv"));
  for (std::string line; std::getline(lines, line);) {
    const size_t tab = line.find('\t');
    found.push_back({line.substr(0, tab), line.substr(tab + 1)});
  }
  return found;
}

// Opens the file the way a user would, in a folder of its own where its kind needs one.
void open(const std::string& name) {
  const fs::path file = kMalformed / name;
  const TemporaryFolder folder;
  if (name.starts_with("gguf-")) {
    open_model(file);
  } else if (name.starts_with("npy-")) {
    read_npy_integers(file);
  } else if (name.starts_with("config-")) {
    fs::copy_file(file, folder / "config.json");
    open_model(folder.string());
  } else if (name.starts_with("safetensors-")) {
    write_text(folder / "config.json", "{}");
    fs::copy_file(file, folder / "model.safetensors");
    open_model(folder.string());
  } else if (name.starts_with("index-")) {
    write_text(folder / "config.json", "{}");
    fs::copy_file(kTestFiles / "seeds" / "safetensors" / kGoodShard, folder / kGoodShard);
    fs::copy_file(file, folder / "model.safetensors.index.json");
    open_model(folder.string());
  } else {
    FAIL() << name << " is of no known kind";
  }
}

TEST(MalformedFile, IsRefusedForItsDefectWithPlaceAndMend) {
  for (const Case& malformed : cases()) {
    SCOPED_TRACE(malformed.file);
    const std::string message = refusal([&] { open(malformed.file); });
    EXPECT_TRUE(holds(message, malformed.words)) << message;
    for (const unsigned char c : message) EXPECT_TRUE(c >= 0x20 && c != 0x7F) << message;
  }
}

TEST(MalformedFile, OfEveryNameHasItsExpectedWords) {
  const std::vector<Case> listed = cases();
  EXPECT_GE(listed.size(), 40u);
  for (const auto& file : fs::directory_iterator(kMalformed)) {
    const std::string name = file.path().filename();
    if (name == "expected.tsv") continue;
    const bool is_listed = std::any_of(listed.begin(), listed.end(), [&](const Case& c) { return c.file == name; });
    EXPECT_TRUE(is_listed) << name;
  }
}

}  // namespace
}  // namespace fovea::files
