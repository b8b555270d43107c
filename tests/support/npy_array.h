// Little-endian NumPy arrays of any shape, as the reference data of these tests are stored.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace fovea::testing_support {

template <typename T> struct NpyArray {
  std::vector<size_t> shape;
  std::vector<T> values;  // C order
};

// T is float ('<f4') or int32_t ('<i4'). `source` is for messages.
template <typename T> NpyArray<T> parse_npy(std::string_view file, const std::string& source) {
  constexpr std::string_view kType = std::is_same_v<T, float> ? "'<f4'" : "'<i4'";
  constexpr size_t kPreamble = 10;  // magic, version, header length of two bytes
  uint16_t header_bytes = 0;
  if (file.size() < kPreamble || !file.starts_with("\x93NUMPY\x01")) throw std::runtime_error(source + ": no .npy");
  std::memcpy(&header_bytes, file.data() + 8, sizeof header_bytes);
  const std::string header(file.substr(kPreamble, header_bytes));
  const std::string_view data = file.substr(kPreamble + header_bytes);
  if (header.find(kType) == std::string::npos || header.find("'fortran_order': False") == std::string::npos) {
    throw std::runtime_error(source + ": not an array of " + std::string(kType) + " in C order");
  }
  NpyArray<T> array;
  size_t count = 1;
  for (size_t at = header.find('(') + 1; header[at] != ')';) {
    size_t digits = 0;
    array.shape.push_back(std::stoul(header.substr(at), &digits));
    count *= array.shape.back();
    at = header.find_first_not_of(", ", at + digits);
  }
  if (data.size() != count * sizeof(T)) throw std::runtime_error(source + ": has another size than its shape");
  array.values.resize(count);
  std::memcpy(array.values.data(), data.data(), data.size());
  return array;
}

template <typename T> NpyArray<T> read_npy(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  return parse_npy<T>(bytes, path.string());
}

}  // namespace fovea::testing_support
