// What a generation took: the timing line for people, the numbers for programs.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fovea/engine.h"

namespace fovea::cli {

struct RunTimes {
  int64_t prefill_tokens = 0, decode_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
  std::optional<double> first_token_seconds;  // none when no token was generated
};

// Of the work between two readings of an engine's statistics.
RunTimes times_between(const EngineStats& before, const EngineStats& after);

// "prefill 34 tokens, 812.3 t/s · decode 128 tokens, 143.2 t/s · first token 0.21 s"
std::string timing_line(const RunTimes& times);
nlohmann::ordered_json json_of(const RunTimes& times);

// "approximate: 4,096 tokens were forgotten"
std::string loss_line(const LossReport& lost);

// Everything in EngineStats, under the names of its fields.
nlohmann::ordered_json json_of(const EngineStats& stats);

}  // namespace fovea::cli
