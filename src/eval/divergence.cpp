#include "eval/divergence.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sampling/exponential.h"
#include "sampling/largest.h"

namespace fovea::eval {
namespace {

constexpr size_t kLanes = 8;  // sums side by side, so that the loops become vector additions

double total(const std::array<double, kLanes>& lanes) {
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

Divergence divergence(std::span<const float> p, std::span<const float> q) {
  const double p_top = sampling::largest_logit(p), q_top = sampling::largest_logit(q);
  std::array<double, kLanes> p_sum = {}, q_sum = {}, difference = {};
  const auto add = [&](size_t i, size_t lane) {
    const double a = p[i] - p_top, b = q[i] - q_top, weight = sampling::exp_nonpositive(a);
    p_sum[lane] += weight;
    q_sum[lane] += sampling::exp_nonpositive(b);
    difference[lane] += weight * (a - b);
  };
  size_t i = 0;
  for (; i + kLanes <= p.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  }
  for (; i < p.size(); ++i) add(i, 0);
  bool any_nan = false;
  for (size_t j = 0; j < p.size(); ++j) any_nan |= p[j] != p[j] || q[j] != q[j];
  if (any_nan) return {std::numeric_limits<double>::quiet_NaN(), false};
  const double kl = total(difference) / total(p_sum) - std::log(total(p_sum)) + std::log(total(q_sum));
  const auto top = [](std::span<const float> x) { return std::max_element(x.begin(), x.end()) - x.begin(); };
  return {kl, top(p) == top(q)};
}

}  // namespace fovea::eval
