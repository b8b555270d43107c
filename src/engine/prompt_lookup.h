// Guesses of what comes next: what followed the last time that these tokens stood there (prompt lookup decoding; the idea is
// A. Saxena's, 2023). Whoever edits or quotes a text repeats much of it.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "fovea/options.h"

namespace fovea {

// Guesses cost a row of a step each and are worth it where they are right. So as many are made as have been right lately, and
// where none were, none are made for a while, the longer the oftener that happens.
//
// threads  one at a time
class PromptLookup {
 public:
  static constexpr int kMostTokens = EngineLimits::kMostLookupTokens;

  // most_tokens: 1 to kMostTokens
  explicit PromptLookup(int most_tokens) : most_(most_tokens), length_(most_tokens < kFirst ? most_tokens : kFirst) {}

  // What may follow `tokens`, prompt and output so far: part of them, at most `most`. Each call with the same tokens as the one before and more.
  std::span<const int32_t> guess(std::span<const int32_t> tokens, int most);
  void took(int guessed, int right);  // of what was guessed; not to be told where nothing was

 private:
  static constexpr int kGram = 3, kFirst = 4;
  static constexpr int kShortestPause = 2, kLongestPause = 64;  // steps

  void index(std::span<const int32_t> tokens);
  static uint64_t gram_before(std::span<const int32_t> tokens, size_t end);

  int most_, length_;                           // length_: of the next guess
  int pause_ = kShortestPause, wait_ = 0;       // steps; wait_: that are left of the pause
  std::unordered_map<uint64_t, int> follower_;  // hash of kGram tokens -> position behind their newest occurrence but the last
  size_t indexed_ = 0;                          // positions whose grams are in there
};

}  // namespace fovea
