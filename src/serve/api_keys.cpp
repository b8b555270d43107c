#include "serve/api_keys.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <stdexcept>

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

std::string fingerprint_of(std::string_view key) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  if (EVP_Digest(key.data(), key.size(), digest, nullptr, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("libcrypto cannot compute SHA-256");
  std::string text;
  for (int i = 0; i < 16; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace

ApiKeys::ApiKeys(std::vector<std::string> keys) : keys_(std::move(keys)) {
  for (const std::string& key : keys_) fingerprints_.push_back(fingerprint_of(key));
}

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
