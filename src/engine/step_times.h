// How long steps that only generate take, by their rows.
#pragma once

#include <array>
#include <cstddef>

namespace fovea {

// It grows with rows, in leaps that depend on processor, weights and depth: it is measured, not known.
//
// threads  one at a time
class StepTimes {
 public:
  static constexpr int kMostRows = 32;

  void took(int rows, double seconds);
  bool known(int rows) const { return rows >= 0 && rows <= kMostRows && seconds_[static_cast<size_t>(rows)] > 0; }
  // A step of other numbers than those seen takes as long as the longest of fewer rows, at least. 0: nothing is known of fewer rows.
  double seconds(int rows) const;

 private:
  std::array<double, kMostRows + 1> seconds_{};  // running means; 0: not seen
};

}  // namespace fovea
