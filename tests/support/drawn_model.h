// Models of tests/data/families, whose weights are drawn again.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "fovea/model.h"
#include "support/drawn_weights.h"
#include "support/temporary_folder.h"

namespace fovea::testing_support {

inline const std::filesystem::path kFamilies = std::filesystem::path(FOVEA_TEST_DATA) / "families";

// A case with its weights, as a folder that can be loaded.
class DrawnModel {
 public:
  explicit DrawnModel(const std::string& name, const nlohmann::json& changes = {}) {
    write_drawn_weights(kFamilies / name / "weights.tsv", folder_ / "model.safetensors");
    std::ifstream source(kFamilies / name / "config.json");
    config = nlohmann::json::parse(source);
    for (const auto& [key, value] : changes.items()) config[key] = value;
    std::ofstream(folder_ / "config.json") << config;
  }
  std::shared_ptr<const Model> load(LoadOptions options = {}) const {
    options.threads = 1;
    return Model::load(folder_.string(), options);
  }

  std::string path() const { return folder_.string(); }

  nlohmann::json config;

 private:
  TemporaryFolder folder_;
};

// A model of tests/data by the name of its folder, whichever kind it is.
inline std::shared_ptr<const Model> load_tiny(const std::string& name, LoadOptions options = {}) {
  if (std::filesystem::exists(kFamilies / name)) return DrawnModel(name).load(options);
  options.threads = 1;
  return Model::load((std::filesystem::path(FOVEA_TEST_DATA) / "oracle" / name).string(), options);
}

}  // namespace fovea::testing_support
