// Guesses of what comes next: what followed the last time that these tokens stood there (prompt lookup decoding; the idea is
// A. Saxena's, 2023). Whoever edits or quotes a text repeats much of it.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "engine/step_times.h"
#include "fovea/options.h"

namespace fovea {

// Guesses cost rows of a step, and the rows cost time. So as many are made as, by how many were right lately and by what steps of so
// many rows took, give the most tokens per second; and where that is none, one is tried after a while, the later the oftener it was wrong.
//
// threads  one at a time
class PromptLookup {
 public:
  static constexpr int kMostTokens = EngineLimits::kMostLookupTokens;

  // most_tokens: 1 to kMostTokens
  explicit PromptLookup(int most_tokens) : most_(most_tokens) {}

  // What may follow `tokens`, prompt and output so far: part of them, at most `most`. Each call with the same tokens as the one before and
  // more. rows: of the step without guesses. times: of steps
  std::span<const int32_t> guess(std::span<const int32_t> tokens, int most, int rows, const StepTimes& times);
  void took(int guessed, int right);  // of what was guessed; not to be told where nothing was

 private:
  static constexpr int kGram = 3;
  static constexpr int kFirst = 2;                              // guesses, before anything is known
  static constexpr int kShortestPause = 2, kLongestPause = 64;  // steps
  static constexpr double kMemory = 0.8;                        // of what was right, from one guess to the next

  void index(std::span<const int32_t> tokens);
  static uint64_t gram_before(std::span<const int32_t> tokens, size_t end);
  int best_length(int most, int rows, const StepTimes& times) const;
  int length_or_pause(int best);

  int most_;
  double right_ = 1.4, tried_ = 2;              // tokens, the older the less; at first as if somewhat more than half had been right
  bool probe_ = false;                          // after a pause
  int pause_ = kShortestPause, wait_ = 0;       // steps; wait_: that are left of the pause
  std::unordered_map<uint64_t, int> follower_;  // hash of kGram tokens -> position behind their newest occurrence but the last
  size_t indexed_ = 0;                          // positions whose grams are in there
};

}  // namespace fovea
