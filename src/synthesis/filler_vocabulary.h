// A tokenizer of any size that needs no data: SentencePiece-style, every token distinct and reachable.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea::synthesis {

// Any text can be encoded and comes back as it was: what is not a token falls back to bytes.
struct FillerVocabulary {
  static constexpr int kPad = 0, kEos = 1, kBos = 2, kUnknown = 3;
  static constexpr int kLeastTokens = 4 + 256 + 1;  // those, one per byte, the space

  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;  // as GGUF numbers them
};

// Printable ASCII follows the bytes, then words of lower-case letters, shortest first, so that each is a
// shorter one and a letter: the tokenizer merges its way up to it. REQUIRES tokens >= kLeastTokens
FillerVocabulary filler_vocabulary(int tokens);

}  // namespace fovea::synthesis
