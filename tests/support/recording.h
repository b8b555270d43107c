// Runs requests through the public engine and keeps what they get.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "fovea/engine.h"

namespace fovea::testing_support {

struct Recording {
  std::vector<float> logits;    // [positions][vocabulary], from position 0 on
  std::vector<int32_t> tokens;  // generated
};

// A request that writes its logits to `into`, which must outlive it.
inline Request recorded(std::vector<int32_t> prompt, int max_tokens, Recording& into) {
  Request request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.on_logits = [&into, next = 0](int position, std::span<const float> row) mutable {
    ASSERT_EQ(position, next++);
    into.logits.insert(into.logits.end(), row.begin(), row.end());
  };
  return request;
}

inline Recording run_alone(const std::shared_ptr<const Model>& model, const EngineOptions& options, const std::vector<int32_t>& prompt,
                           int max_tokens = 0) {
  Engine engine(model, options);
  Recording recording;
  engine.generate(recorded(prompt, max_tokens, recording), [&](int32_t token) {
    recording.tokens.push_back(token);
    return true;
  });
  return recording;
}

// Equal as memcmp sees it; a failure names the first row that differs.
inline void expect_same_bits(const std::vector<float>& expected, const std::vector<float>& actual, int row_floats) {
  ASSERT_FALSE(expected.empty());
  ASSERT_EQ(expected.size(), actual.size());
  if (std::memcmp(expected.data(), actual.data(), expected.size() * sizeof(float)) == 0) return;
  const auto differ = [](float a, float b) { return std::memcmp(&a, &b, sizeof a) != 0; };
  const auto first = std::mismatch(expected.begin(), expected.end(), actual.begin(), [&](float a, float b) { return !differ(a, b); });
  const auto at = first.first - expected.begin();
  ADD_FAILURE() << "row " << at / row_floats << " differs first, at " << at % row_floats << ": " << *first.first << " and "
                << *first.second;
}

}  // namespace fovea::testing_support
