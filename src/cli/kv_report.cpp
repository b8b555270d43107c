#include "cli/kv_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "cli/kv_picture.h"
#include "cli/model_options.h"
#include "cli/quantity.h"
#include "fovea/error.h"

namespace fovea::cli {
namespace {

// Kinds of layers have the colours of the planner's figures.
constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--muted:#59636e;--line:#d5dae0;--gone:#eceff2;--mark:#1b1f24;--loss:#b3261e;
--local:#2b8fd0;--global:#d55e00;--chunked:#009e73;--latent:#b9588f;--state:#b07800;--newest:#7a5ccf;--hit:#00805d;--miss:#8a939c;--replay:#b07800}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e9ec;--muted:#9aa5b0;--line:#343b42;--gone:#23292f;--mark:#f0f3f6;--loss:#ff8a80;
--local:#56b4e9;--global:#ff8a3d;--chunked:#2fc79b;--latent:#e08cc0;--state:#e6a823;--newest:#b39df2;--hit:#2fc79b;--miss:#6b7580;--replay:#e6a823}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1100px;padding:16px;background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,Helvetica,Arial,sans-serif}
h1{font-size:1.35em;margin:.2em 0}h2{font-size:1.1em;margin:1.8em 0 .4em}h3{font-size:.95em;margin:1.2em 0 .3em;font-weight:600}
p{margin:.4em 0}.small{font-size:.85em;color:var(--muted)}
.numbers{display:flex;flex-wrap:wrap;gap:8px 24px;margin:.8em 0;padding:0;list-style:none}.numbers b{display:block;font-size:1.2em}
.numbers li{color:var(--muted);font-size:.85em}.numbers b{color:var(--fg)}
.plot{display:flex}.layers{position:relative;flex:0 0 26px;margin-top:14px;font-size:10px;color:var(--muted)}
.layers span{position:absolute;right:6px;transform:translateY(-50%);line-height:1}
.right{flex:1;min-width:0}.field{display:block;width:100%;background:var(--bg)}
.gone,.swatch.gone{fill:var(--gone);background:var(--gone)}
.local{fill:var(--local);background:var(--local)}.global{fill:var(--global);background:var(--global)}
.chunked{fill:var(--chunked);background:var(--chunked)}.latent{fill:var(--latent);background:var(--latent)}
.state{fill:var(--state);background:var(--state)}.newest{fill:var(--newest);background:var(--newest)}
.s1{opacity:.45}.s2{opacity:.72}.s3{opacity:1}
.before{fill:var(--bg);opacity:.55}
.boundary{stroke:var(--mark);stroke-width:1;vector-effect:non-scaling-stroke;opacity:.55}
.marks{position:relative;height:14px}
.b{position:absolute;bottom:1px;width:9px;height:9px;margin-left:-4.5px;background:var(--mark);clip-path:polygon(0 0,100% 0,50% 100%)}
.b.hollow{background:var(--muted);opacity:.5}
.loss{position:absolute;bottom:-3px;margin-left:-5px;color:var(--loss);font:700 15px/1 sans-serif}
.key.b,.key.loss{position:static;display:inline-block;margin:0 6px 0 0}
.axis{position:relative;height:20px;font-size:11px;color:var(--muted);border-top:1px solid var(--line)}
.axis span{position:absolute;top:3px;transform:translateX(-50%);white-space:nowrap}.axis span:first-child{transform:none}
.axis .last{transform:translateX(-100%)}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:.85em}.legend span{display:inline-flex;align-items:center}
.swatch{display:inline-block;width:14px;height:14px;margin-right:6px}
.bar{margin:.7em 0}.bar svg{display:block;width:100%;height:14px;background:var(--gone)}
.bar .plan{stroke:var(--mark);stroke-width:2;vector-effect:non-scaling-stroke}
.bar .peak{stroke:var(--mark);stroke-width:1;stroke-dasharray:3 2;vector-effect:non-scaling-stroke}
.hit{fill:var(--hit);background:var(--hit)}.miss{fill:var(--miss);background:var(--miss)}.replay{fill:var(--replay);background:var(--replay)}
)";

std::string number(const std::string& value, const std::string& label) { return fmt::format("<li><b>{}</b>{}</li>", value, label); }

std::string size_text(int64_t bytes) { return bytes_text(static_cast<double>(bytes)); }

std::string summary(const EngineStats& stats) {
  return "<ul class=\"numbers\">" +
         number(size_text(stats.kv_used_bytes) + " of " + size_text(stats.kv_bytes), "keys and values, and the most they may take") +
         number(count_text(stats.kv_boundaries), "positions to continue from") +
         number(fmt::format("{} of {}", count_text(stats.reuse_hits), count_text(stats.requests)), "requests found something") +
         number(count_text(stats.reused_tokens), "tokens saved") + number(count_text(stats.computed_tokens), "tokens computed") + "</ul>\n";
}

// Of what was there while the answer began, only the sequence itself: the rest is as at the end.
std::string running_section(const ModelFacts& facts, CacheMap map, const EngineStats& stats) {
  std::erase_if(map.paths, [](const CachePath& path) { return !path.running; });
  map.left_out = 0;
  if (map.paths.empty()) return "";
  return "<p>When the answer began:</p>\n" + kv_pictures(facts, map, stats) + "<p>At the end:</p>\n";
}

std::string group_name(const KvGroupStats& group) {
  std::string text = fmt::format("{} {} layer{}", group.layers, group.kind, group.layers == 1 ? "" : "s");
  if (group.window > 0) text += fmt::format(", window {}", count_text(group.window));
  if (!group.codec.empty()) text += ", " + group.codec;
  return text;
}

std::string group_bar(const KvGroupStats& group, int64_t scale) {
  const int64_t peak = group.peak_held_pages * group.page_bytes;
  const auto line = [scale](const char* name, int64_t bytes) {
    const double x = std::clamp(1000.0 * static_cast<double>(bytes) / static_cast<double>(scale), 1.0, 999.0);
    return fmt::format("<line class=\"{0}\" x1=\"{1:.1f}\" x2=\"{1:.1f}\" y1=\"0\" y2=\"1\"/>", name, x);
  };
  const double held = 1000.0 * static_cast<double>(group.held_bytes) / static_cast<double>(scale);
  const double kept = 1000.0 * static_cast<double>(group.kept_bytes) / static_cast<double>(scale);
  return fmt::format(
      "<div class=\"bar\"><div>{}</div><svg viewBox=\"0 0 1000 1\" preserveAspectRatio=\"none\">"
      "<rect class=\"{} s3\" width=\"{:.1f}\" height=\"1\"/><rect class=\"{} s1\" x=\"{:.1f}\" width=\"{:.1f}\" height=\"1\"/>{}{}</svg>"
      "<div class=\"small\">held {} &middot; only kept {} &middot; pinned {} &middot; at its peak {} &middot; planned {} &middot; "
      "pages of {}</div></div>\n",
      group_name(group), group.kind, held, group.kind, held, kept, line("peak", peak), line("plan", group.planned_bytes),
      size_text(group.held_bytes), size_text(group.kept_bytes), size_text(group.pinned_bytes), size_text(peak),
      size_text(group.planned_bytes), size_text(group.page_bytes));
}

std::string groups_section(const EngineStats& stats) {
  int64_t scale = 1;
  for (const KvGroupStats& group : stats.kv) {
    scale = std::max({scale, group.planned_bytes, group.held_bytes + group.kept_bytes, group.peak_held_pages * group.page_bytes});
  }
  std::string html = "<h2>Bytes by group, and the plan</h2>\n";
  for (const KvGroupStats& group : stats.kv) html += group_bar(group, scale);
  return html + fmt::format(
                    "<p class=\"small\">Strong: held by running sequences; pale: only kept for requests to come; pinned: "
                    "kept, held or not. Solid line: planned for running sequences at their longest; dashed: the most they "
                    "ever held. The bars are {} long.</p>\n",
                    size_text(scale));
}

std::string request_bar(const CacheRequest& request) {
  const ReuseReport& reuse = request.reuse;
  const double all = std::max(1, reuse.prompt_tokens);
  const double hit = 1000 * reuse.reused_tokens / all, replay = 1000 * reuse.replayed_tokens / all;
  return fmt::format(
      "<div class=\"bar\"><div class=\"small\">request {}: {}</div><svg viewBox=\"0 0 1000 1\" preserveAspectRatio=\"none\">"
      "<rect class=\"hit\" width=\"{:.1f}\" height=\"1\"/><rect class=\"replay\" x=\"{:.1f}\" width=\"{:.1f}\" height=\"1\"/>"
      "<rect class=\"miss\" x=\"{:.1f}\" width=\"{:.1f}\" height=\"1\"/></svg></div>\n",
      request.id, html_escaped(text_of(reuse)), hit, hit, replay, hit + replay, 1000 - hit - replay);
}

std::string requests_section(const CacheMap& map, const EngineStats& stats) {
  std::string html =
      "<h2>What requests found</h2>\n<p class=\"legend\"><span><i class=\"swatch hit\"></i>reused</span>"
      "<span><i class=\"swatch replay\"></i>read again to restore windows</span>"
      "<span><i class=\"swatch miss\"></i>computed</span></p>\n";
  for (const CacheRequest& request : map.requests) html += request_bar(request);
  if (map.requests.empty()) html += "<p>None has begun.</p>\n";
  std::string reasons;
  for (const auto& [reason, count] : stats.reuse_reasons)
    reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", reason, count_text(count));
  if (!reasons.empty()) html += fmt::format("<p class=\"small\">why no more was reused: {}</p>\n", html_escaped(reasons));
  return html;
}

}  // namespace

std::string kv_report(const ModelFacts& facts, const CacheMap& running, const CacheMap& map, const EngineStats& stats) {
  const std::string name = html_escaped(display_name(facts));
  return fmt::format(
             "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>Cache of {0}</title>\n"
             "<style>{1}</style>\n</head>\n<body>\n<h1>What the cache of {0} holds</h1>\n",
             name, kStyle) +
         summary(stats) + "<h2>Layers and positions</h2>\n" + kv_legend(stats) + running_section(facts, running, stats) +
         kv_pictures(facts, map, stats) + groups_section(stats) + requests_section(map, stats) + "</body>\n</html>\n";
}

void write_kv_report(const std::string& path, const Engine& engine, const CacheMap& running) {
  std::ofstream file(path, std::ios::binary);
  file << kv_report(engine.model().facts(), running, engine.cache_map(), engine.stats());
  file.close();
  if (!file) throw Error("cannot be written", path, "name a file in a folder that exists");
}

}  // namespace fovea::cli
