#include "engine/prompt_lookup.h"

#include <algorithm>

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

std::span<const int32_t> PromptLookup::guess(std::span<const int32_t> tokens, int most) {
  if (wait_ > 0) {
    --wait_;
    return {};
  }
  most = std::min(most, length_);
  if (most <= 0 || tokens.size() <= kGram) return {};
  index(tokens);
  const auto found = follower_.find(gram_before(tokens, tokens.size()));
  if (found == follower_.end()) return {};
  const auto begin = static_cast<size_t>(found->second);
  return tokens.subspan(begin, std::min(static_cast<size_t>(most), tokens.size() - begin));
}

void PromptLookup::took(int guessed, int right) {
  if (right > 0) {
    pause_ = kShortestPause;
    length_ = right == guessed ? std::min(most_, 2 * length_) : std::min(most_, std::max(right + 1, kFirst));
    return;
  }
  wait_ = pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
  length_ = std::min(most_, kFirst);
}

}  // namespace fovea
