#include "catalogue/zip_member.h"

#include <zip.h>

#include <memory>
#include <vector>

#include "fovea/error.h"

namespace fovea::installation {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr const char* kMend = "download it again";

struct Close {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

std::unique_ptr<zip_t, Close> open_archive(const std::string& path) {
  int code = 0;
  std::unique_ptr<zip_t, Close> archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (archive) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  throw Error("not a readable package: " + text, path, kMend);
}

}  // namespace

void read_zip_member(const std::filesystem::path& archive_path, const std::string& member,
                     const std::function<void(std::span<const std::byte>)>& sink) {
  const auto archive = open_archive(archive_path.string());
  const std::unique_ptr<zip_file_t, Close> file(zip_fopen(archive.get(), member.c_str(), 0));
  if (!file) throw Error("no readable member " + member + ": " + zip_strerror(archive.get()), archive_path.string(), kMend);
  std::vector<std::byte> piece(kPieceBytes);
  for (;;) {
    const zip_int64_t count = zip_fread(file.get(), piece.data(), piece.size());
    if (count < 0) throw Error("damaged member " + member + ": " + zip_file_strerror(file.get()), archive_path.string(), kMend);
    if (count == 0) return;
    sink({piece.data(), static_cast<size_t>(count)});
  }
}

}  // namespace fovea::installation
