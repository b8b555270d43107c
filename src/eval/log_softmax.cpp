#include "eval/log_softmax.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sampling/exponential.h"
#include "sampling/largest.h"

namespace fovea::eval {

double log_probability(std::span<const float> logits, int32_t token) {
  constexpr size_t kLanes = 8;  // sums side by side, so that the loop becomes vector additions
  const double largest = sampling::largest_logit(logits);
  std::array<double, kLanes> sums = {};
  bool any_nan = false;
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += sampling::exp_nonpositive(logits[i + lane] - largest);
  }
  for (; i < logits.size(); ++i) sums[0] += sampling::exp_nonpositive(logits[i] - largest);
  for (const float logit : logits) any_nan |= logit != logit;
  if (any_nan) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const double part : sums) sum += part;
  return logits[static_cast<size_t>(token)] - largest - std::log(sum);
}

}  // namespace fovea::eval
