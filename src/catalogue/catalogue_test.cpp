#include "fovea/catalogue.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <string>

#include "fovea/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

// An environment variable with another value, or none, until the end of the scope.
class With {
 public:
  With(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~With() { set(old_ ? old_->c_str() : nullptr); }
  With(const With&) = delete;
  With& operator=(const With&) = delete;

 private:
  void set(const char* value) { value ? setenv(name_, value, 1) : unsetenv(name_); }
  const char* name_;
  std::optional<std::string> old_;
};

class Resolve : public testing::Test {
 protected:
  Resolve() {
    std::string name = (fs::temp_directory_path() / "fovea-resolve-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    folder_variable_.emplace("FOVEA_MODELS", folder_.c_str());
  }
  ~Resolve() override { fs::remove_all(folder_); }

  fs::path pretend_installed(const CatalogueEntry& entry) {
    const fs::path path = folder_ / entry.file_name;
    std::ofstream(path).put('x');
    fs::resize_file(path, entry.size_bytes);  // sparse
    return path;
  }

  std::string message(const std::string& model) {
    try {
      resolve_model(model);
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << model << " was found";
    return "";
  }

  fs::path folder_;
  std::optional<With> folder_variable_;
};

TEST(Catalogue, EveryEntryIsCompleteAndItsNamesAreItsOwn) {
  std::set<std::string_view> names, files;
  for (const CatalogueEntry& entry : catalogue()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_TRUE(entry.alias.empty() || names.insert(entry.alias).second) << entry.alias;
    EXPECT_TRUE(files.insert(entry.file_name).second) << entry.file_name;
    EXPECT_EQ(entry.sha256.size(), 64u) << entry.name;
    EXPECT_EQ(entry.sha256.find_first_not_of("0123456789abcdef"), entry.sha256.npos) << entry.name;
    EXPECT_FALSE(entry.licence.empty() || entry.source.empty() || entry.parts.empty()) << entry.name;
    EXPECT_EQ(find_in_catalogue(entry.name), &entry);
    EXPECT_EQ(find_in_catalogue(entry.alias), entry.alias.empty() ? nullptr : &entry);
  }
  EXPECT_EQ(catalogue().front().name, "gemma3-270m");
  EXPECT_EQ(find_in_catalogue("gpt-9"), nullptr);
}

TEST(ModelFolder, IsTheFirstThatTheEnvironmentNames) {
  const With models("FOVEA_MODELS", "/m"), cache("XDG_CACHE_HOME", "/c"), home("HOME", "/h");
  EXPECT_EQ(model_folder(), "/m");
  const With no_models("FOVEA_MODELS", "");
  EXPECT_EQ(model_folder(), "/c/fovea/models");
  const With no_cache("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(model_folder(), "/h/.cache/fovea/models");
  const With no_home("HOME", nullptr);
  EXPECT_THROW(model_folder(), Error);
}

TEST_F(Resolve, AnExistingPathWinsOverAnInstalledModel) {
  pretend_installed(catalogue()[0]);
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  std::ofstream("gemma3-270m") << "a file of that name";
  const std::string found = resolve_model("gemma3-270m");
  fs::current_path(before);
  EXPECT_EQ(found, "gemma3-270m");
  EXPECT_EQ(resolve_model(folder_.string()), folder_.string());
}

TEST_F(Resolve, FindsAnInstalledModelByNameAndAlias) {
  const std::string path = pretend_installed(catalogue()[1]).string();
  EXPECT_EQ(resolve_model("smollm2-135m-instruct"), path);
  EXPECT_EQ(resolve_model("smollm2"), path);
}

TEST_F(Resolve, SaysHowToInstallWhatIsKnown) {
  EXPECT_NE(message("gemma3-270m").find("fovea models install gemma3-270m"), std::string::npos);
}

TEST_F(Resolve, NamesWhatWasProbablyMeant) {
  EXPECT_NE(message("gemma3-207m").find("did you mean gemma3-270m?"), std::string::npos);
  EXPECT_NE(message("gemma").find("did you mean gemma3-270m?"), std::string::npos);
  EXPECT_NE(message("SmolLM2-135M").find("did you mean smollm2-135m-instruct?"), std::string::npos);
  EXPECT_NE(message("something").find("known models: gemma3-270m, smollm2-135m-instruct"), std::string::npos);
  EXPECT_NE(message("no/such/file.gguf").find("no such file"), std::string::npos);
}

TEST_F(Resolve, RemovingNeedsAKnownName) {
  EXPECT_THROW(remove_model("gpt-9"), Error);
  EXPECT_FALSE(remove_model("gemma3-270m"));
  pretend_installed(catalogue()[0]);
  EXPECT_TRUE(remove_model("gemma3-270m"));
  EXPECT_EQ(installed_path("gemma3-270m"), std::nullopt);
}

}  // namespace
}  // namespace fovea
