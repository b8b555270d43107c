// Weights that are not stored but drawn again: numbers from a counter, as tools/make_family_data.py has them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace fovea::testing_support {

// `count` floats offset + scale * u with u in [-1, 1), multiples of 2^-23: the upper bits of splitmix64 at hash(key/name) + i.
inline std::vector<float> drawn_numbers(const std::string& key, const std::string& name, size_t count, double offset, double scale) {
  uint64_t state = 0xcbf29ce484222325u;
  for (const char c : key + "/" + name) state = (state ^ static_cast<uint8_t>(c)) * 0x100000001b3u;  // FNV-1a
  std::vector<float> numbers;
  numbers.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    numbers.push_back(static_cast<float>(offset + scale * (std::ldexp(static_cast<double>(z >> 40), -23) - 1)));
  }
  return numbers;
}

// Writes model.safetensors as the table weights.tsv describes it.
inline void write_drawn_weights(const std::filesystem::path& table, const std::filesystem::path& to) {
  std::ifstream lines(table);
  std::string key, line;
  std::getline(lines, key);
  nlohmann::json header;
  std::vector<float> data;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string name, extents, extent;
    double offset = 0, scale = 0;
    if (!(fields >> name >> extents >> offset >> scale)) throw std::runtime_error(table.string() + ": " + line);
    std::vector<size_t> shape;
    size_t count = 1;
    for (std::istringstream all(extents); std::getline(all, extent, 'x'); count *= shape.back()) shape.push_back(std::stoul(extent));
    const size_t begin = data.size();
    const std::vector<float> numbers = drawn_numbers(key, name, count, offset, scale);
    data.insert(data.end(), numbers.begin(), numbers.end());
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {4 * begin, 4 * data.size()}}};
  }
  if (data.empty()) throw std::runtime_error(table.string() + ": no tensors");
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t bytes = text.size();
  std::ofstream file(to, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&bytes), 8) << text;
  file.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(4 * data.size()));
}

}  // namespace fovea::testing_support
