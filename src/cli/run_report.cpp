#include "cli/run_report.h"

#include <fmt/format.h>

#include "cli/quantity.h"

namespace fovea::cli {
namespace {

double per_second(int64_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }

std::string phase_text(const char* phase, int64_t tokens, double seconds) {
  const char* noun = tokens == 1 ? "token" : "tokens";
  std::string text = fmt::format("{} {} {}", phase, count_text(tokens), noun);
  if (tokens > 0 && seconds > 0) text += fmt::format(", {} t/s", rate_text(per_second(tokens, seconds)));
  return text;
}

nlohmann::ordered_json json_of(const KvGroupStats& group) {
  return {{"kind", group.kind},
          {"window", group.window > 0 ? nlohmann::ordered_json(group.window) : nlohmann::ordered_json()},
          {"layers", group.layers},
          {"codec", group.codec},
          {"page_tokens", group.page_tokens},
          {"page_bytes", group.page_bytes},
          {"held_pages", group.held_pages},
          {"kept_pages", group.kept_pages},
          {"pinned_pages", group.pinned_pages},
          {"peak_held_pages", group.peak_held_pages},
          {"capacity_pages", group.capacity_pages},
          {"held_bytes", group.held_bytes},
          {"kept_bytes", group.kept_bytes},
          {"pinned_bytes", group.pinned_bytes},
          {"planned_bytes", group.planned_bytes}};
}

}  // namespace

RunTimes times_between(const EngineStats& before, const EngineStats& after) {
  RunTimes times;
  times.prefill_tokens = after.prefill_tokens - before.prefill_tokens;
  times.decode_tokens = after.decode_tokens - before.decode_tokens;
  times.prefill_seconds = after.prefill_seconds - before.prefill_seconds;
  times.decode_seconds = after.decode_seconds - before.decode_seconds;
  return times;
}

std::string timing_line(const RunTimes& times) {
  std::string line = phase_text("prefill", times.prefill_tokens, times.prefill_seconds) + " · " +
                     phase_text("decode", times.decode_tokens, times.decode_seconds);
  if (times.first_token_seconds) line += fmt::format(" · first token {:.2f} s", *times.first_token_seconds);
  return line;
}

std::string loss_line(const LossReport& lost) {
  return fmt::format("approximate: {} tokens were forgotten on the way", count_text(lost.evicted_tokens + lost.shifted_tokens));
}

nlohmann::ordered_json json_of(const RunTimes& times) {
  nlohmann::ordered_json object = {{"prefill_tokens", times.prefill_tokens},
                                   {"prefill_seconds", times.prefill_seconds},
                                   {"prefill_tokens_per_s", per_second(times.prefill_tokens, times.prefill_seconds)},
                                   {"decode_tokens", times.decode_tokens},
                                   {"decode_seconds", times.decode_seconds},
                                   {"decode_tokens_per_s", per_second(times.decode_tokens, times.decode_seconds)}};
  object["first_token_seconds"] = times.first_token_seconds ? nlohmann::ordered_json(*times.first_token_seconds) : nlohmann::ordered_json();
  return object;
}

nlohmann::ordered_json json_of(const EngineStats& stats) {
  nlohmann::ordered_json object = {{"computed_tokens", stats.computed_tokens},
                                   {"reused_tokens", stats.reused_tokens},
                                   {"replayed_tokens", stats.replayed_tokens},
                                   {"requests", stats.requests},
                                   {"reuse_hits", stats.reuse_hits},
                                   {"evicted_tokens", stats.evicted_tokens},
                                   {"shifted_tokens", stats.shifted_tokens},
                                   {"steps", stats.steps},
                                   {"guessed_tokens", stats.guessed_tokens},
                                   {"guessed_right", stats.guessed_right},
                                   {"prefill_tokens", stats.prefill_tokens},
                                   {"prefill_seconds", stats.prefill_seconds},
                                   {"decode_tokens", stats.decode_tokens},
                                   {"decode_seconds", stats.decode_seconds},
                                   {"kv_bytes", stats.kv_bytes},
                                   {"kv_used_bytes", stats.kv_used_bytes},
                                   {"kv_boundaries", stats.kv_boundaries},
                                   {"scratch_bytes", stats.scratch_bytes}};
  object["part_seconds"] = stats.part_seconds;
  object["reuse_reasons"] = stats.reuse_reasons;
  object["miss_reasons"] = stats.miss_reasons;
  object["kv"] = nlohmann::ordered_json::array();
  for (const KvGroupStats& group : stats.kv) object["kv"].push_back(json_of(group));
  return object;
}

}  // namespace fovea::cli
