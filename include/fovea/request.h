// What is asked of the engine, and what comes back.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea {

class Grammar;  // fovea/grammar.h

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

enum class KeepLevel : uint8_t {
  none,      // nothing of it is kept for others; it may still use what is there
  normal,    // as long as it is worth its bytes beside everything else
  priority,  // as normal, and worth sixteen times as much
};

// What a request leaves in the cache for later ones, and who may find it.
struct CacheTerms {
  KeepLevel keep = KeepLevel::normal;
  double ttl_seconds = 0;            // 0: no end; else it is forgotten so long after it was computed
  std::string salt = {};             // requests see only what was left under the same salt: tenants kept apart
  std::vector<int> boundaries = {};  // positions in the prompt that others may continue from: beginnings of messages
  int approximate_windows = 0;       // > 0: where a window was dropped, restoring it by reading so many windows again is
                                     // good enough. Logits then differ a little from those of a cold run
  bool reuse = true;                 // false: everything is computed, whatever is there
};

struct Request {
  std::vector<int32_t> prompt;  // at least one token
  int max_tokens = 0;           // to generate; 0: only compute the prompt
  SamplingOptions sampling;
  std::vector<int32_t> stop_tokens;  // end the generation; not part of the output
  // What the output has to be, of the engine's model; where nothing more may follow, it ends (FinishReason::stop). Cut by
  // max_tokens it is a beginning of what it has to be.
  std::shared_ptr<const Grammar> grammar = {};
  // Only the prompt is computed, all of it and for nobody else, and the last event tells its embedding.
  bool embed = false;
  LogitsSink on_logits;  // if set, called for positions of the prompt and of the output, in order
  int logits_from = 0;   // first position on_logits is called for; what lies before may come from the cache
  CacheTerms cache;
  bool evict = true;  // forget as EngineOptions::eviction says, if it does; false: the budget is the longest it can be
  // If set: when the context is full, half of what follows the first so many tokens is dropped, as far as no window reaches
  // it, and generation goes on. Approximate: what is left was computed with what was dropped.
  std::optional<int> shift_after = {};
  int owner = 0;     // who asks: any number
  int priority = 0;  // of those that wait, the highest starts first, whoever asks; among equals, whose owner has the fewest running
  // > 0: up to so many tokens at a time are guessed by what followed the newest tokens before, in prompt or output, and checked in one
  // step. The output is the same, tokens and bits; it comes faster where it repeats what was there. At most 32; does nothing for
  // sequences that forget or shift, on models whose layers carry a state, and with on_logits.
  int prompt_lookup = 0;
  std::optional<int> top_logprobs = {};  // if set: every event with a token tells its log probability, and of so many others
};

// failed: Event::error says why. expired: the deadline that AsyncEngine was given.
enum class FinishReason : uint8_t { none, stop, length, cancelled, failed, expired };
std::string_view name_of(FinishReason reason);

using RequestId = uint64_t;

// Why no more of a prompt was reused.
enum class ReuseReason : uint8_t {
  none,            // everything was that can be: all but the last token, or all before logits_from
  off,             // the request did not want it
  unknown,         // nothing kept begins like this
  differs,         // what is kept goes on with another token
  ends,            // what is kept ends here
  dropped,         // more was kept, and dropped for budget
  expired,         // more was kept, until its time was over
  no_window,       // more is kept, but no window of the local layers there
  window_dropped,  // likewise: it was dropped for budget
  window_expired,  // likewise: its time was over
  no_state,        // more is kept, but no state of the layers that carry one
  state_dropped,   // likewise: it was dropped for budget
  state_expired,   // likewise: its time was over
};
std::string_view name_of(ReuseReason reason);  // "window_dropped"

// What became of a prompt.
struct ReuseReport {
  int prompt_tokens = 0;
  int computed_tokens = 0;  // of the prompt
  int reused_tokens = 0;    // the rest: found in the cache
  int replayed_tokens = 0;  // of those computed, those that only restored the windows of local layers
  bool exact = true;        // false: approximate_windows was made use of
  ReuseReason reason = ReuseReason::none;
  int position = 0;  // where the reason applies
};
std::string text_of(const ReuseReport& report);  // "reused 4,096 of 6,060 tokens: differs at token 4,096"

// What a request no longer sees of its tokens, beyond what its layers' windows leave out. What follows is approximate, and not
// kept for later requests.
struct LossReport {
  int64_t evicted_tokens = 0;  // EngineOptions::eviction
  int64_t shifted_tokens = 0;  // Request::shift_after
  bool exact() const { return evicted_tokens == 0 && shifted_tokens == 0; }
};

// Natural logarithms of probabilities, by the logits as the model gives them: before bias, penalties and temperature.
struct TokenLogprobs {
  float chosen = 0;
  std::vector<std::pair<int32_t, float>> top = {};  // most likely first, lowest id first among equals
};

// One thing that happened to one request in one step.
struct Event {
  RequestId request = 0;
  std::optional<int32_t> token;                // generated; none when the generation ended without one
  FinishReason finished = FinishReason::none;  // not none: the request is over, nothing more comes
  ReuseReport reuse = {};                      // complete from the first event of a request on
  LossReport lost = {};                        // so far
  std::optional<TokenLogprobs> logprobs = {};  // of the token, where Request::top_logprobs wants them
  std::exception_ptr error = {};               // with FinishReason::failed
  // Of Request::embed: the mean over all tokens of the prompt of their states after the model's last norm, as a unit vector.
  std::vector<float> embedding = {};
};

}  // namespace fovea
