// Tiny models with what the reference implementation computes for them (tests/data/oracle/README.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "support/npy_array.h"

namespace fovea::testing_support {

inline const std::filesystem::path kOracle = std::filesystem::path(FOVEA_TEST_DATA) / "oracle";

struct OracleSequence {
  std::vector<int32_t> tokens;
  std::vector<float> logits;    // [tokens][vocabulary]
  std::vector<int32_t> greedy;  // how it goes on
};

// Names of all cases, in alphabetical order.
inline std::vector<std::string> oracle_cases(const std::filesystem::path& folder = kOracle) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline std::vector<OracleSequence> oracle_sequences(const std::filesystem::path& folder) {
  const auto lengths = read_npy<int32_t>(folder / "lengths.npy");
  const auto tokens = read_npy<int32_t>(folder / "tokens.npy");
  const auto logits = read_npy<float>(folder / "logits.npy");
  const auto greedy = read_npy<int32_t>(folder / "greedy.npy");
  const size_t vocabulary = logits.shape.at(1), continued = greedy.shape.at(1);
  std::vector<OracleSequence> sequences;
  size_t begin = 0;
  for (size_t i = 0; i < lengths.values.size(); ++i) {
    const auto length = static_cast<size_t>(lengths.values[i]);
    const auto part = []<typename T>(const std::vector<T>& all, size_t first, size_t count) {
      const std::span<const T> some = std::span(all).subspan(first, count);
      return std::vector<T>(some.begin(), some.end());
    };
    sequences.push_back({part(tokens.values, begin, length), part(logits.values, begin * vocabulary, length * vocabulary),
                         part(greedy.values, i * continued, continued)});
    begin += length;
  }
  return sequences;
}

inline std::vector<OracleSequence> oracle_sequences(const std::string& name) { return oracle_sequences(kOracle / name); }

}  // namespace fovea::testing_support
