#include "serve/engine_metrics.h"

#include <fmt/format.h>

namespace fovea::serve {

void note_engine(Metrics& metrics, const std::string& label, const EngineStats& stats) {
  const std::string more = label.empty() ? "" : label + ",";
  const auto count = [](int64_t value) { return static_cast<double>(value); };
  metrics.set("fovea_engine_steps_total", label, count(stats.steps));
  metrics.set("fovea_engine_computed_tokens_total", label, count(stats.computed_tokens));
  metrics.set("fovea_engine_reused_tokens_total", label, count(stats.reused_tokens));
  metrics.set("fovea_engine_replayed_tokens_total", label, count(stats.replayed_tokens));
  metrics.set("fovea_engine_prefill_seconds_total", label, stats.prefill_seconds);
  metrics.set("fovea_engine_decode_seconds_total", label, stats.decode_seconds);
  metrics.set("fovea_kv_limit_bytes", label, count(stats.kv_bytes));
  metrics.set("fovea_kv_used_bytes", label, count(stats.kv_used_bytes));
  metrics.set("fovea_kv_boundaries", label, stats.kv_boundaries);
  for (const auto& [reason, requests] : stats.reuse_reasons) {
    metrics.set("fovea_reuse_total", fmt::format("{}reason=\"{}\"", more, reason), count(requests));
  }
  for (size_t i = 0; i < stats.kv.size(); ++i) {
    const KvGroupStats& group = stats.kv[i];
    const std::string labels =
        fmt::format("{}group=\"{}\",kind=\"{}\",window=\"{}\",codec=\"{}\"", more, i, group.kind, group.window, group.codec);
    metrics.set("fovea_kv_held_bytes", labels, count(group.held_bytes));
    metrics.set("fovea_kv_kept_bytes", labels, count(group.kept_bytes));
    metrics.set("fovea_kv_planned_bytes", labels, count(group.planned_bytes));
  }
}

}  // namespace fovea::serve
