// --temp, --top-k and their kin.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fovea/request.h"

namespace fovea::cli {

struct SamplingArguments {
  SamplingOptions options;
  // What was typed. Otherwise texts continue with the most likely token, while conversations, which greedy
  // choices soon trap in a loop, get some freedom.
  std::optional<float> temperature, top_p, repetition_penalty;
  std::vector<std::string> biases;  // "ID:VALUE"

  void add(CLI::App& command);
  SamplingOptions resolved(bool conversation) const;
};

// "42:-1.5" -> {42, -1.5}; "42:-inf" forbids the token. Throws CLI::ValidationError.
std::pair<int32_t, float> parse_logit_bias(const std::string& text);

}  // namespace fovea::cli
