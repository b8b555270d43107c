// Where the models of the catalogue lie on this machine. Tests that need one skip where it is absent.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "fovea/catalogue.h"

namespace fovea::testing_support {

inline constexpr const char* kNoModel = "the model is not here: fovea models install NAME, or name a file by the variable ";

struct RealModel {
  const char* variable;        // environment variable that names a file anywhere
  std::string_view catalogue;  // name in the catalogue

  // nullopt: neither named nor installed. What the variable names is not checked: opening it will tell.
  std::optional<std::string> path() const {
    if (const char* named = std::getenv(variable); named && *named) return named;
    if (const auto installed = installed_path(catalogue)) return installed->string();
    return std::nullopt;
  }
};

inline constexpr RealModel kGemma = {"FOVEA_TEST_GEMMA", "gemma3-270m"};
inline constexpr RealModel kSmolLm2 = {"FOVEA_TEST_SMOLLM2", "smollm2-135m-instruct"};

// The novel that real models read here.
inline std::string novel() {
  std::ifstream file(FOVEA_TEST_DATA "/frankenstein.txt", std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace fovea::testing_support
