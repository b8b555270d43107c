// One line on stderr that says how far long work is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "fovea/options.h"

namespace fovea::cli {

enum class ProgressUnit { bytes, tokens };

// "reading weights  [=====>      ]  45 %  113 MB of 253 MB  512 MB/s  0:03 left", at most `columns` long: the
// bar takes what is left, and goes when that is too little.
std::string progress_line(std::string_view stage, int64_t done, int64_t total, ProgressUnit unit, double seconds, int columns);

// Draws at most ten times a second, only on a terminal, and not for work that ends within the first tenth;
// its destructor leaves the line empty.
class ProgressBar {
 public:
  explicit ProgressBar(ProgressUnit unit);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::string_view stage, int64_t done, int64_t total);
  void clear();  // leaves the line to others; the next update draws again

  // For the library: draws, and stops the work after Ctrl-C. The bar must outlive it.
  Progress callback();

 private:
  using Clock = std::chrono::steady_clock;
  ProgressUnit unit_;
  bool visible_;
  bool drawn_ = false;
  std::string stage_;
  Clock::time_point stage_begin_, last_draw_;
};

}  // namespace fovea::cli
