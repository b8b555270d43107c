// Hidden states of a prompt -> one vector.
#pragma once

#include <span>
#include <vector>

namespace fovea {

// The mean over all tokens of the state after the last norm, as a unit vector. Sums go in the order of positions: they do not depend
// on how the prompt was cut.
class MeanPooling {
 public:
  void add(std::span<const float> state);  // of the next position; all as long as the first
  std::vector<float> unit_vector() const;  // all zero if the mean is

 private:
  std::vector<double> sum_;
};

}  // namespace fovea
