#include "sampling/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace fovea::sampling {
namespace {

constexpr float kImpossible = -9999;  // as JSON knows no infinity, what OpenAI gives for it

}  // namespace

TokenLogprobs logprobs_of(std::span<const float> logits, int32_t token, int top) {
  const auto value = [&](int32_t id) {
    const float logit = logits[static_cast<size_t>(id)];
    return std::isnan(logit) ? -INFINITY : logit;
  };
  float largest = -INFINITY;
  for (size_t i = 0; i < logits.size(); ++i) largest = std::max(largest, value(static_cast<int32_t>(i)));
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    sum += std::exp(static_cast<double>(value(static_cast<int32_t>(i))) - static_cast<double>(largest));
  }
  const double all = static_cast<double>(largest) + std::log(sum);
  const auto logprob = [&](int32_t id) {
    const double result = static_cast<double>(value(id)) - all;
    return result > kImpossible ? static_cast<float>(result) : kImpossible;  // also where nothing is finite
  };
  TokenLogprobs result;
  result.chosen = logprob(token);
  if (top == 0) return result;
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + static_cast<ptrdiff_t>(std::min(ids.size(), static_cast<size_t>(top)));
  std::partial_sort(ids.begin(), end, ids.end(), [&](int32_t a, int32_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
  for (auto id = ids.begin(); id != end; ++id) result.top.emplace_back(*id, logprob(*id));
  return result;
}

}  // namespace fovea::sampling
