// Running mean of -log p, and what follows from it.
#pragma once

#include <cmath>
#include <cstdint>

namespace fovea::eval {

class TokenLoss {
 public:
  void add(double negative_log_probability) {
    ++count_;
    sum_ += negative_log_probability;
    squares_ += negative_log_probability * negative_log_probability;
  }

  int64_t count() const { return count_; }
  double perplexity() const { return std::exp(mean()); }

  // Of perplexity(), from the spread of the losses as if they were independent; 0 when there is none to speak
  // of.
  double standard_error() const {
    if (count_ < 2) return 0;
    const double variance = squares_ / static_cast<double>(count_) - mean() * mean();
    return variance > 0 ? std::sqrt(variance / static_cast<double>(count_ - 1)) * perplexity() : 0;
  }

 private:
  double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }

  int64_t count_ = 0;
  double sum_ = 0, squares_ = 0;
};

}  // namespace fovea::eval
