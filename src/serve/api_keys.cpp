#include "serve/api_keys.h"

namespace fovea::serve {
namespace {

// Reads all of `presented`, whatever it is.
bool same(std::string_view key, std::string_view presented) {
  volatile unsigned differences = key.size() != presented.size();
  for (size_t i = 0; i < presented.size(); ++i) {
    differences = differences | static_cast<unsigned char>(presented[i] ^ key[i % key.size()]);
  }
  return differences == 0;
}

}  // namespace

std::optional<int> ApiKeys::find(std::string_view presented) const {
  std::optional<int> found;
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (same(keys_[i], presented)) found = static_cast<int>(i);
  }
  return found;
}

std::string_view bearer(std::string_view authorization) {
  constexpr std::string_view kBearer = "bearer ";
  if (authorization.size() < kBearer.size()) return {};
  for (size_t i = 0; i < kBearer.size(); ++i) {
    if ((static_cast<unsigned char>(authorization[i]) | 0x20) != static_cast<unsigned char>(kBearer[i])) return {};
  }
  std::string_view key = authorization.substr(kBearer.size());
  while (key.starts_with(' ')) key.remove_prefix(1);
  return key;
}

}  // namespace fovea::serve
