// Files of tests/data/text, for the tests of this room.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>

namespace fovea::text {

inline std::string test_file(const std::string& name) {
  std::ifstream file(std::string(FOVEA_TEST_DATA) + "/text/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("no test data " + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline nlohmann::json test_json(const std::string& name) { return nlohmann::json::parse(test_file(name)); }

}  // namespace fovea::text
