#include "engine/cache_report.h"

#include <fmt/format.h>

#include <array>

#include "kernels/kv_layout.h"

namespace fovea {
namespace {

constexpr size_t kReasons = 13;
static_assert(kReasons == kv::kMissReasons);

// In the order of ReuseReason, which is that of kv::MissReason.
constexpr std::array<std::string_view, kReasons> kNames = {"none",     "off",           "unknown",      "differs",        "ends",
                                                           "dropped",  "expired",       "no_window",    "window_dropped", "window_expired",
                                                           "no_state", "state_dropped", "state_expired"};

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
    case ReuseReason::no_state:
      return "no state was kept at " + at;
    case ReuseReason::state_dropped:
      return "state at " + at + " was dropped for budget";
    case ReuseReason::state_expired:
      return "state at " + at + " has expired";
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
  std::string text = fmt::format("reused {} of {} tokens", count(report.reused_tokens), count(report.prompt_tokens));
  if (report.replayed_tokens > 0) {
    text += fmt::format(", read {} again {}", count(report.replayed_tokens),
                        report.exact ? "to restore windows" : "to restore windows approximately");
  }
  const std::string why = explanation(report);
  return why.empty() ? text : text + ": " + why;
}

KvGroupStats public_stats(const kv::GroupStats& group, const kv::GroupSpec& spec) {
  KvGroupStats stats;
  const bool pages = spec.state_bytes == 0;
  stats.window = group.window;
  stats.layers = group.layers;
  stats.layer_indices = spec.layers;
  if (pages) stats.codec = name_of(spec.layout.codec);
  stats.page_tokens = pages ? kernels::kPageTokens : 0;
  stats.page_bytes = group.page_bytes;
  stats.held_pages = group.held_pages;
  stats.kept_pages = group.idle_pages;
  stats.pinned_pages = group.pinned_pages;
  stats.capacity_pages = group.capacity_pages;
  stats.peak_held_pages = group.peak_held_pages;
  stats.held_bytes = group.held_pages * group.page_bytes;
  stats.kept_bytes = group.idle_pages * group.page_bytes;
  stats.pinned_bytes = group.pinned_pages * group.page_bytes;
  return stats;
}

namespace {

constexpr std::array<std::string_view, 5> kBoundaryNames = {"spaced", "message", "prompt", "branch", "end"};

CacheBoundary public_boundary(const kv::MapBoundary& boundary, int64_t now_ms) {
  CacheBoundary result;
  result.position = boundary.position;
  result.kind = kBoundaryNames[static_cast<size_t>(boundary.kind)];
  result.priority = boundary.priority;
  result.continuable = boundary.continuable;
  result.wanted = boundary.wanted;
  if (boundary.expires_ms != kv::kNever) result.seconds_left = static_cast<double>(boundary.expires_ms - now_ms) / 1000;
  return result;
}

CachePath public_path(const kv::MapPath& path, int64_t now_ms) {
  CachePath result;
  result.running = path.running;
  result.salt = path.salt;
  result.tokens = path.tokens;
  result.shared_tokens = path.shared_tokens;
  for (const std::vector<kv::MapSpan>& spans : path.groups) {
    std::vector<CacheSpan>& group = result.groups.emplace_back();
    for (const kv::MapSpan& span : spans) group.push_back({span.begin, span.end, span.holders, span.keepers});
  }
  for (const kv::MapBoundary& boundary : path.boundaries) result.boundaries.push_back(public_boundary(boundary, now_ms));
  for (const kv::MapLoss& loss : path.losses) result.losses.push_back({loss.position, loss.window_only, loss.expired});
  return result;
}

}  // namespace

CacheMap public_map(const kv::CacheMap& map) {
  CacheMap result;
  result.left_out = map.left_out;
  for (const kv::MapPath& path : map.paths) result.paths.push_back(public_path(path, map.now_ms));
  return result;
}

}  // namespace fovea
