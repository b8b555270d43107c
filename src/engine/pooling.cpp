#include "engine/pooling.h"

#include <cmath>

namespace fovea {

void MeanPooling::add(std::span<const float> state) {
  sum_.resize(state.size());
  for (size_t i = 0; i < state.size(); ++i) sum_[i] += static_cast<double>(state[i]);
}

std::vector<float> MeanPooling::unit_vector() const {
  double squares = 0;
  for (const double value : sum_) squares += value * value;
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;  // of the sum: its length tells nothing more than the mean's
  std::vector<float> vector;
  for (const double value : sum_) vector.push_back(static_cast<float>(value * scale));
  return vector;
}

}  // namespace fovea
