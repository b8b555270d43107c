#include "serve/engine_metrics.h"

#include <fmt/format.h>

namespace fovea::serve {

void note_engine(Metrics& metrics, const EngineStats& stats) {
  const auto count = [](int64_t value) { return static_cast<double>(value); };
  metrics.set("fovea_engine_steps_total", "", count(stats.steps));
  metrics.set("fovea_engine_computed_tokens_total", "", count(stats.computed_tokens));
  metrics.set("fovea_engine_reused_tokens_total", "", count(stats.reused_tokens));
  metrics.set("fovea_engine_replayed_tokens_total", "", count(stats.replayed_tokens));
  metrics.set("fovea_engine_prefill_seconds_total", "", stats.prefill_seconds);
  metrics.set("fovea_engine_decode_seconds_total", "", stats.decode_seconds);
  metrics.set("fovea_kv_limit_bytes", "", count(stats.kv_bytes));
  metrics.set("fovea_kv_used_bytes", "", count(stats.kv_used_bytes));
  metrics.set("fovea_kv_boundaries", "", stats.kv_boundaries);
  for (const auto& [reason, requests] : stats.reuse_reasons) {
    metrics.set("fovea_reuse_total", fmt::format("reason=\"{}\"", reason), count(requests));
  }
  for (size_t i = 0; i < stats.kv.size(); ++i) {
    const KvGroupStats& group = stats.kv[i];
    const std::string labels = fmt::format("group=\"{}\",kind=\"{}\",window=\"{}\",codec=\"{}\"", i, group.kind, group.window, group.codec);
    metrics.set("fovea_kv_held_bytes", labels, count(group.held_bytes));
    metrics.set("fovea_kv_kept_bytes", labels, count(group.kept_bytes));
    metrics.set("fovea_kv_planned_bytes", labels, count(group.planned_bytes));
  }
}

}  // namespace fovea::serve
