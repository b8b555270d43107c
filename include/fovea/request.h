// What is asked of the engine, and what comes back.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea {

// How the next token is chosen from the logits. Steps are applied in the order of the fields.
struct SamplingOptions {
  std::vector<std::pair<int32_t, float>> logit_bias = {};  // token, added to its logit
  float repetition_penalty = 1;  // > 1: logits of tokens seen in the window are divided (negative: multiplied) by it
  float presence_penalty = 0;    // subtracted once from the logit of a token that was generated
  float frequency_penalty = 0;   // subtracted for each time it was generated
  int penalty_window = 64;       // newest tokens (prompt and output) that the repetition penalty looks at; -1: all
  float temperature = 0;         // 0: the most likely token, lowest id first among equals
  int top_k = 0;                 // keep the k most likely; 0: all
  float top_p = 1;               // keep the fewest tokens whose probabilities reach this sum
  float min_p = 0;               // keep tokens at least this likely, relative to the most likely
  uint64_t seed = 0;             // the same seed, options and logits give the same tokens, on any machine
};

using LogitsSink = std::function<void(int position, std::span<const float> logits)>;

struct Request {
  std::vector<int32_t> prompt;        // at least one token
  int max_tokens = 0;                 // to generate; 0: only compute the prompt
  SamplingOptions sampling;
  std::vector<int32_t> stop_tokens;   // end the generation; not part of the output
  LogitsSink on_logits;               // if set, called for every position of the prompt and of the output, in order
};

enum class FinishReason : uint8_t { none, stop, length, cancelled };
std::string_view name_of(FinishReason reason);

using RequestId = uint64_t;

// One thing that happened to one request in one step.
struct Event {
  RequestId request = 0;
  std::optional<int32_t> token;               // generated; none when the generation ended without one
  FinishReason finished = FinishReason::none; // not none: the request is over, nothing more comes
};

}  // namespace fovea
