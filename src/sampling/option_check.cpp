#include "sampling/option_check.h"

#include <fmt/format.h>

#include <cmath>

#include "fovea/error.h"

namespace fovea::sampling {
namespace {

template <typename T> void require(bool good, const char* name, T value, const char* range) {
  if (good) return;
  throw Error(fmt::format("{} is {}, which it cannot be", name, value), "sampling options", fmt::format("{} takes {}", name, range));
}

void check_token(int32_t token, int vocabulary, const char* where) {
  if (token >= 0 && token < vocabulary) return;
  throw Error(fmt::format("there is no token {}", token), where, fmt::format("token ids of this model are 0 to {}", vocabulary - 1));
}

void check_bias(const SamplingOptions& options, int vocabulary) {
  for (const auto& [token, bias] : options.logit_bias) {
    check_token(token, vocabulary, "logit_bias");
    // -infinity forbids a token. +infinity would turn the others' probabilities into 0 / 0 for two such
    // tokens.
    require(!std::isnan(bias) && bias < INFINITY, "logit_bias", bias, "a number, or -infinity to forbid the token");
  }
}

}  // namespace

void check_options(const SamplingOptions& options, int vocabulary, std::span<const int32_t> prompt) {
  check_bias(options, vocabulary);
  require(std::isfinite(options.repetition_penalty) && options.repetition_penalty > 0, "repetition_penalty", options.repetition_penalty,
          "a number above 0 (1 changes nothing)");
  require(std::isfinite(options.presence_penalty), "presence_penalty", options.presence_penalty, "a finite number");
  require(std::isfinite(options.frequency_penalty), "frequency_penalty", options.frequency_penalty, "a finite number");
  require(options.penalty_window >= -1, "penalty_window", options.penalty_window, "a number of tokens, or -1 for all");
  require(std::isfinite(options.temperature) && options.temperature >= 0, "temperature", options.temperature,
          "0 or a positive number (0 always takes the most likely token)");
  require(options.top_k >= 0, "top_k", options.top_k, "0 (all tokens) or a number of tokens");
  require(options.top_p > 0 && options.top_p <= 1, "top_p", options.top_p, "a number above 0 and at most 1");
  require(options.min_p >= 0 && options.min_p <= 1, "min_p", options.min_p, "a number from 0 to 1");
  for (const int32_t token : prompt) check_token(token, vocabulary, "prompt");
}

}  // namespace fovea::sampling
