#include "serve/page_numbers.h"

#include <algorithm>

namespace fovea::serve {
namespace {

using nlohmann::ordered_json;

ordered_json json_of(const TimeShares& shares) {
  if (shares.half < 0) return nullptr;
  return {{"half", shares.half}, {"most", shares.most}};
}

ordered_json json_of(const KvGroupStats& group) {
  return {{"kind", group.kind},
          {"window", group.window},
          {"layers", group.layer_indices},
          {"codec", group.codec},
          {"page_tokens", group.page_tokens},
          {"page_bytes", group.page_bytes},
          {"held_bytes", group.held_bytes},
          {"kept_bytes", group.kept_bytes},
          {"planned_bytes", group.planned_bytes},
          {"capacity_bytes", group.capacity_pages * group.page_bytes}};
}

// By layer: the groups that keep its keys and values (what it keeps of all it sees, then of its newest tokens; none: it keeps nothing),
// and whether they are its own.
ordered_json rows_json(const ModelFacts& facts, const EngineStats& stats) {
  ordered_json rows = ordered_json::array();
  for (const LayerFacts& layer : facts.layers) {
    const int keeper = layer.shares_with.value_or(layer.index);
    ordered_json groups = ordered_json::array();
    for (size_t i = 0; i < stats.kv.size(); ++i) {
      const std::vector<int>& layers = stats.kv[i].layer_indices;
      if (std::find(layers.begin(), layers.end(), keeper) != layers.end()) groups.push_back(i);
    }
    rows.push_back({{"groups", groups}, {"own", !layer.shares_with}});
  }
  return rows;
}

ordered_json json_of(const CacheBoundary& boundary) {
  return {{"position", boundary.position}, {"kind", boundary.kind}, {"continuable", boundary.continuable}, {"wanted", boundary.wanted}};
}

ordered_json json_of(const CacheLoss& loss) {
  return {{"position", loss.position}, {"window_only", loss.window_only}, {"expired", loss.expired}};
}

ordered_json json_of(const CachePath& path) {
  ordered_json object = {{"running", path.running}, {"tokens", path.tokens}, {"shared_tokens", path.shared_tokens}};
  object["groups"] = ordered_json::array();
  for (const std::vector<CacheSpan>& spans : path.groups) {
    ordered_json& group = object["groups"].emplace_back(ordered_json::array());
    for (const CacheSpan& span : spans) group.push_back({span.begin, span.end, span.holders, span.keepers});
  }
  object["boundaries"] = ordered_json::array();
  for (const CacheBoundary& boundary : path.boundaries) object["boundaries"].push_back(json_of(boundary));
  object["losses"] = ordered_json::array();
  for (const CacheLoss& loss : path.losses) object["losses"].push_back(json_of(loss));
  return object;
}

ordered_json json_of(const CacheRequest& request) {
  const ReuseReport& reuse = request.reuse;
  return {{"id", request.id},
          {"prompt_tokens", reuse.prompt_tokens},
          {"reused_tokens", reuse.reused_tokens},
          {"replayed_tokens", reuse.replayed_tokens},
          {"reason", name_of(reuse.reason)},
          {"at", reuse.position}};
}

// A caller's salt, alone or with one of the caller's own behind it (CallContext).
bool is_callers(const Caller& caller, std::string_view salt) {
  if (caller.salt.empty()) return true;
  return salt.starts_with(caller.salt) && (salt.size() == caller.salt.size() || salt[caller.salt.size()] == '/');
}

}  // namespace

ordered_json load_json(const Service& service, const LoadedModel& model, const EngineView& view) {
  const EngineStats& stats = view.stats;
  const RecentCalls::Summary recent = service.recent.summary();
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return {{"seconds", std::chrono::duration<double>(now).count()},
          {"running", stats.running},
          {"waiting", stats.waiting},
          {"sequences", model.engine->options().sequences},
          {"most_waiting", service.options.limits.waiting},
          {"requests", stats.requests},
          {"reuse_hits", stats.reuse_hits},
          {"computed_tokens", stats.computed_tokens},
          {"reused_tokens", stats.reused_tokens},
          {"generated_tokens", stats.generated_tokens},
          {"steps", stats.steps},
          {"kv_used_bytes", stats.kv_used_bytes},
          {"kv_limit_bytes", stats.kv_bytes},
          {"recent",
           {{"span_seconds", RecentCalls::kSpan.count()},
            {"calls", recent.calls},
            {"first_token_seconds", json_of(recent.first)},
            {"token_seconds", json_of(recent.token)},
            {"call_seconds", json_of(recent.whole)}}}};
}

ordered_json cache_json(const Caller& caller, const ModelFacts& facts, const EngineView& view) {
  const EngineStats& stats = view.stats;
  const CacheMap& map = view.map;
  ordered_json object = {{"used_bytes", stats.kv_used_bytes},      {"limit_bytes", stats.kv_bytes},
                         {"boundaries", stats.kv_boundaries},      {"requests", stats.requests},
                         {"reuse_hits", stats.reuse_hits},         {"computed_tokens", stats.computed_tokens},
                         {"reused_tokens", stats.reused_tokens},   {"replayed_tokens", stats.replayed_tokens},
                         {"evicted_tokens", stats.evicted_tokens}, {"reuse_reasons", stats.reuse_reasons},
                         {"miss_reasons", stats.miss_reasons}};
  object["groups"] = ordered_json::array();
  for (const KvGroupStats& group : stats.kv) object["groups"].push_back(json_of(group));
  object["layers"] = rows_json(facts, stats);
  object["paths"] = ordered_json::array();
  int hidden = 0;
  for (const CachePath& path : map.paths) {
    if (is_callers(caller, path.salt)) object["paths"].push_back(json_of(path));
    else ++hidden;
  }
  object["left_out"] = map.left_out;
  object["of_others"] = hidden;
  object["recent"] = ordered_json::array();
  for (const CacheRequest& request : map.requests) {
    if (request.owner == caller.key) object["recent"].push_back(json_of(request));
  }
  return object;
}

}  // namespace fovea::serve
