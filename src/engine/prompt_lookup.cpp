#include "engine/prompt_lookup.h"

#include <algorithm>
#include <array>
#include <utility>

namespace fovea {

uint64_t PromptLookup::gram_before(std::span<const int32_t> tokens, size_t end) {
  uint64_t hash = 1469598103934665603u;  // FNV-1a; a guess from a collision is wrong, and no more than that
  for (size_t i = end - kGram; i < end; ++i) hash = (hash ^ static_cast<uint32_t>(tokens[i])) * 1099511628211u;
  return hash;
}

// All grams but the newest, which is what is looked for.
void PromptLookup::index(std::span<const int32_t> tokens) {
  for (size_t end = std::max<size_t>(indexed_, kGram); end < tokens.size(); ++end) {
    follower_[gram_before(tokens, end)] = static_cast<int>(end);
    indexed_ = end + 1;
  }
}

// Lengths are tried one after the other, each when the shorter ones have been timed: a longer one costs more than it can give, often.
int PromptLookup::best_length(int most, int rows, const StepTimes& times) const {
  constexpr std::array kLengths = {1, 2, 3, 5, 7, 11, 15, 23, 31};
  if (times.seconds(rows) == 0) return std::min(most, kFirst);
  const double likely = right_ / tried_;
  double tokens = rows, chance = 1, best_rate = tokens / times.seconds(rows);
  int best = 0, length = 0;
  for (const int next : kLengths) {
    if (length == most) break;
    for (const int end = std::min(next, most); length < end; ++length) tokens += chance *= likely;
    const double rate = tokens / times.seconds(rows + length);
    if (rate > best_rate) best = length, best_rate = rate;
    if (!times.known(rows + length)) break;
  }
  return best;
}

// 0: no guess in this step.
int PromptLookup::length_or_pause(int best) {
  if (best > 0) return best;
  if (std::exchange(probe_, false)) return 1;
  wait_ = pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
  probe_ = true;
  return 0;
}

std::span<const int32_t> PromptLookup::guess(std::span<const int32_t> tokens, int most, int rows, const StepTimes& times) {
  if (wait_ > 0) {
    --wait_;
    return {};
  }
  most = std::min(most, most_);
  if (most <= 0 || tokens.size() <= kGram) return {};
  index(tokens);
  const auto found = follower_.find(gram_before(tokens, tokens.size()));
  if (found == follower_.end()) return {};
  const auto begin = static_cast<size_t>(found->second);
  const int there = static_cast<int>(std::min<size_t>(tokens.size() - begin, kMostTokens));
  return tokens.subspan(begin, static_cast<size_t>(length_or_pause(best_length(std::min(most, there), rows, times))));
}

void PromptLookup::took(int guessed, int right) {
  tried_ = kMemory * tried_ + right + (right < guessed);
  right_ = kMemory * right_ + right;
  if (right > 0) pause_ = kShortestPause, probe_ = false;
}

}  // namespace fovea
