// Where the time of steps goes, by the parts of a layer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace fovea::model {

enum class Part : uint8_t {
  local_attention,   // of layers with a window or chunks
  global_attention,  // of layers that see everything
  projections,       // queries, keys and values with their norms and ropes, storing them, and the way back
  feed_forward,
  states,
  logits,
};
inline constexpr size_t kParts = 6;

constexpr std::string_view name_of(Part part) {
  constexpr std::array<std::string_view, kParts> kNames = {"local attention", "global attention", "projections",
                                                           "feed-forward",    "states",           "logits"};
  return kNames[static_cast<size_t>(part)];
}

// Sums of seconds on the clock of the thread that computes. Reading the clock twice per part of a layer costs some
// microseconds in a step of milliseconds.
class PartTimes {
 public:
  // Adds the time until it dies to its part.
  class Scope {
   public:
    Scope(PartTimes& times, Part part) : seconds_(times.seconds_[static_cast<size_t>(part)]) {}
    ~Scope() { seconds_ += watch_.seconds(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    double& seconds_;
    Stopwatch watch_;
  };

  double seconds(Part part) const { return seconds_[static_cast<size_t>(part)]; }

 private:
  std::array<double, kParts> seconds_{};
};

}  // namespace fovea::model
