#include "catalogue/install.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zip.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "catalogue/sha256.h"
#include "fovea/error.h"

namespace fovea::installation {
namespace {

namespace fs = std::filesystem;

constexpr CataloguePart kParts[] = {{"tiny-part1", "1.0", "tiny/part00", 100}, {"tiny-part2", "1.0", "tiny/part01", 100}};
const std::string kContent[] = {std::string(3'000'000, 'a'), "and the rest"};  // the first takes several pieces

std::string digest_of(const std::string& text) {
  Sha256 digest;
  digest.add(std::as_bytes(std::span(text)));
  return digest.finish();
}

const std::string& whole() {
  static const std::string text = kContent[0] + kContent[1];
  return text;
}

CatalogueEntry tiny() {
  static const std::string digest = digest_of(whole());
  return {.name = "tiny",
          .alias = "",
          .description = "",
          .file_name = "tiny.gguf",
          .source = "a test",
          .size_bytes = whole().size(),
          .sha256 = digest,
          .licence = "none",
          .terms = "",
          .parts = kParts};
}

fs::path write_wheel(const fs::path& path, std::string_view member, const std::string& content) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_EXCL, nullptr);
  zip_source_t* source = zip_source_buffer(archive, content.data(), content.size(), 0);
  EXPECT_GE(zip_file_add(archive, std::string(member).c_str(), source, 0), 0);
  EXPECT_EQ(zip_close(archive), 0);
  return path;
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Install : public testing::Test {
 protected:
  Install() {
    std::string name = (fs::temp_directory_path() / "fovea-install-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~Install() override { fs::remove_all(folder_); }

  // A world with the wheels of kContent.
  World honest() {
    return {[this](const CataloguePart& part, const fs::path& into, const std::function<void(uint64_t)>& downloaded) {
              ++fetches_;
              if (downloaded) downloaded(part.download_bytes);
              return write_wheel(into / "tiny.whl", part.member, kContent[part.member == kParts[0].member ? 0 : 1]);
            },
            [](const fs::path&) { return uint64_t{1} << 40; }};
  }

  // Files a user would see, and unfinished ones.
  std::vector<std::string> left() const {
    std::vector<std::string> names;
    for (const fs::directory_entry& file : fs::directory_iterator(folder_))
      if (file.path().extension() != ".lock") names.push_back(file.path().filename());
    return names;
  }

  std::string message_of_install(const CatalogueEntry& entry, const World& world) {
    try {
      install(entry, folder_, world, {});
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "installed although it must not";
    return "";
  }

  fs::path folder_;
  std::atomic<int> fetches_ = 0;
};

TEST_F(Install, ConcatenatesThePartsInOrder) {
  const fs::path path = install(tiny(), folder_, honest(), {});
  EXPECT_EQ(path, folder_ / "tiny.gguf");
  EXPECT_TRUE(content_of(path) == whole());
  EXPECT_EQ(left(), std::vector<std::string>{"tiny.gguf"});
  EXPECT_EQ(installed_in(folder_, tiny()), path);
}

TEST_F(Install, CreatesTheFolder) {
  const fs::path path = install(tiny(), folder_ / "new" / "place", honest(), {});
  EXPECT_TRUE(fs::exists(path));
}

TEST_F(Install, DoesNothingWhenInstalled) {
  install(tiny(), folder_, honest(), {});
  install(tiny(), folder_, honest(), {});
  EXPECT_EQ(fetches_, 2);  // once per part
}

TEST_F(Install, ProgressRisesToTheTotalsOfBothStages) {
  uint64_t downloaded = 0, assembled = 0;
  install(tiny(), folder_, honest(), [&](InstallStage stage, uint64_t done, uint64_t total) {
    uint64_t& last = stage == InstallStage::downloading ? downloaded : assembled;
    EXPECT_GE(done, last);
    EXPECT_LE(done, total);
    last = done;
  });
  EXPECT_EQ(downloaded, 200u);
  EXPECT_EQ(assembled, whole().size());
}

TEST_F(Install, RefusesAnotherContentAndLeavesNothing) {
  CatalogueEntry entry = tiny();
  entry.sha256 = "00";
  EXPECT_NE(message_of_install(entry, honest()).find("SHA-256"), std::string::npos);
  EXPECT_TRUE(left().empty());
}

TEST_F(Install, RefusesMoreAndFewerBytesThanTheCatalogueSays) {
  CatalogueEntry entry = tiny();
  entry.size_bytes = whole().size() - 1;
  EXPECT_NE(message_of_install(entry, honest()).find("larger"), std::string::npos);
  entry.size_bytes = whole().size() + 1;
  EXPECT_NE(message_of_install(entry, honest()).find("expected"), std::string::npos);
  EXPECT_TRUE(left().empty());
}

TEST_F(Install, RefusesAWheelTruncatedAnywhere) {
  World world = honest();
  const Fetch fetch = world.fetch;
  for (const uint64_t percent : {0, 10, 50, 90, 99}) {
    world.fetch = [&](const CataloguePart& part, const fs::path& into, const auto& downloaded) {
      fs::path wheel = fetch(part, into, downloaded);
      fs::resize_file(wheel, fs::file_size(wheel) * percent / 100);
      return wheel;
    };
    message_of_install(tiny(), world);
    EXPECT_TRUE(left().empty()) << percent;
  }
}

TEST_F(Install, RefusesADamagedMember) {
  World world = honest();
  world.fetch = [fetch = world.fetch](const CataloguePart& part, const fs::path& into, const auto& downloaded) {
    fs::path wheel = fetch(part, into, downloaded);
    std::fstream file(wheel, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    file.write("damage", 6);
    return wheel;
  };
  message_of_install(tiny(), world);
  EXPECT_TRUE(left().empty());
}

TEST_F(Install, SaysWhichMemberIsMissing) {
  World world = honest();
  world.fetch = [](const CataloguePart&, const fs::path& into, const auto&) {
    return write_wheel(into / "tiny.whl", "something/else", "x");
  };
  EXPECT_NE(message_of_install(tiny(), world).find("tiny/part00"), std::string::npos);
}

TEST_F(Install, RefusesBeforeFetchingWhenTheDiskIsTooSmall) {
  World world = honest();
  world.free_bytes = [](const fs::path&) { return uint64_t{2'000'000}; };
  const std::string message = message_of_install(tiny(), world);
  EXPECT_NE(message.find("needs 4 MB"), std::string::npos) << message;
  EXPECT_NE(message.find("free are 2 MB"), std::string::npos) << message;
  EXPECT_EQ(fetches_, 0);
  EXPECT_TRUE(left().empty());
}

TEST_F(Install, AFailedFetchLeavesNothing) {
  World world = honest();
  world.fetch = [](const CataloguePart&, const fs::path& into, const auto&) -> fs::path {
    std::ofstream(into / "half") << "half";
    throw Error("no network", "", "");
  };
  EXPECT_EQ(message_of_install(tiny(), world), "no network");
  EXPECT_TRUE(left().empty());
}

TEST_F(Install, GivingUpFromTheProgressCallLeavesNothing) {
  struct GiveUp {};
  const auto give_up = [](InstallStage stage, uint64_t, uint64_t) {
    if (stage == InstallStage::assembling) throw GiveUp();
  };
  EXPECT_THROW(install(tiny(), folder_, honest(), give_up), GiveUp);
  EXPECT_TRUE(left().empty());
}

TEST_F(Install, TwoAtOnceFetchOnce) {
  std::thread other([&] { install(tiny(), folder_, honest(), {}); });
  install(tiny(), folder_, honest(), {});
  other.join();
  EXPECT_EQ(fetches_, 2);
  EXPECT_TRUE(content_of(folder_ / "tiny.gguf") == whole());
}

TEST_F(Install, AKillInAnyStageLeavesNoFileUnderTheNameAndTheNextInstallSucceeds) {
  for (const InstallStage stage : {InstallStage::downloading, InstallStage::assembling}) {
    const pid_t child = fork();
    if (child == 0) {
      install(tiny(), folder_, honest(), [stage](InstallStage now, uint64_t, uint64_t) {
        if (now == stage) kill(getpid(), SIGKILL);
      });
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child was not killed";
    EXPECT_EQ(left(), std::vector<std::string>{".tiny.gguf.install"});
    EXPECT_EQ(installed_in(folder_, tiny()), std::nullopt);

    install(tiny(), folder_, honest(), {});
    EXPECT_EQ(left(), std::vector<std::string>{"tiny.gguf"});
    EXPECT_TRUE(remove(tiny(), folder_));
  }
}

TEST_F(Install, AFileOfAnotherSizeIsNotInstalledAndIsReplaced) {
  std::ofstream(folder_ / "tiny.gguf") << "half a model";
  EXPECT_EQ(installed_in(folder_, tiny()), std::nullopt);
  install(tiny(), folder_, honest(), {});
  EXPECT_TRUE(content_of(folder_ / "tiny.gguf") == whole());
}

TEST_F(Install, RemoveDeletesTheModelOnce) {
  install(tiny(), folder_, honest(), {});
  EXPECT_TRUE(remove(tiny(), folder_));
  EXPECT_FALSE(remove(tiny(), folder_));
  EXPECT_TRUE(left().empty());
  EXPECT_FALSE(remove(tiny(), folder_ / "never made"));
}

}  // namespace
}  // namespace fovea::installation
