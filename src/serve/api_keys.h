// Who may ask.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::serve {

// threads  immutable
class ApiKeys {
 public:
  explicit ApiKeys(std::vector<std::string> keys);

  bool required() const { return !keys_.empty(); }
  // Number of the key; nullopt: it is none of them. Takes as long for a key that is almost right as for one that is all wrong.
  std::optional<int> find(std::string_view presented) const;
  // What stands for a key in memory and on disk, whichever number it has. The key cannot be told from it.
  const std::string& fingerprint(int number) const { return fingerprints_[static_cast<size_t>(number)]; }

 private:
  std::vector<std::string> keys_, fingerprints_;
};

// Of a header "Bearer KEY"; empty when it is something else.
std::string_view bearer(std::string_view authorization);

}  // namespace fovea::serve
