#include "engine/reuse_report.h"

#include <fmt/format.h>

#include <array>

namespace fovea {
namespace {

constexpr size_t kReasons = 10;
static_assert(kReasons == kv::kMissReasons);

// In the order of ReuseReason, which is that of kv::MissReason.
constexpr std::array<std::string_view, kReasons> kNames = {
    "none",    "off",     "unknown",   "differs",        "ends",
    "dropped", "expired", "no_window", "window_dropped", "window_expired"};

std::string count(int tokens) { return fmt::format("{}", fmt::group_digits(tokens)); }

std::string explanation(const ReuseReport& report) {
  const std::string at = count(report.position);
  switch (report.reason) {
    case ReuseReason::none:
      return "";
    case ReuseReason::off:
      return "reuse is off";
    case ReuseReason::unknown:
      return "nothing kept begins like this";
    case ReuseReason::differs:
      return "differs at token " + at;
    case ReuseReason::ends:
      return "what is kept ends at token " + at;
    case ReuseReason::dropped:
      return "what follows token " + at + " was dropped for budget";
    case ReuseReason::expired:
      return "what follows token " + at + " has expired";
    case ReuseReason::no_window:
      return "no window was kept at " + at;
    case ReuseReason::window_dropped:
      return "window at " + at + " was dropped for budget";
    case ReuseReason::window_expired:
      return "window at " + at + " has expired";
  }
  return "";
}

}  // namespace

std::string_view name_of(ReuseReason reason) { return kNames[static_cast<size_t>(reason)]; }

ReuseReport report_of(const kv::Reuse& found, int prompt_tokens) {
  ReuseReport report;
  report.prompt_tokens = prompt_tokens;
  report.reused_tokens = found.tokens;
  report.computed_tokens = prompt_tokens - found.tokens;
  report.replayed_tokens = found.replayed;
  report.exact = found.exact;
  report.reason = static_cast<ReuseReason>(found.reason);
  report.position = found.position;
  return report;
}

std::string text_of(const ReuseReport& report) {
  std::string text =
      fmt::format("reused {} of {} tokens", count(report.reused_tokens), count(report.prompt_tokens));
  if (report.replayed_tokens > 0) {
    text += fmt::format(", read {} again {}", count(report.replayed_tokens),
                        report.exact ? "to restore windows" : "to restore windows approximately");
  }
  const std::string why = explanation(report);
  return why.empty() ? text : text + ": " + why;
}

}  // namespace fovea
