#include "cli/kv_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "cli/quantity.h"

namespace fovea::cli {
namespace {

constexpr int kMostLabels = 24;  // layers that all have their number written beside them

// The row of a layer: the groups that keep its keys and values, and whether they are its own.
struct Row {
  std::vector<size_t> groups;  // of EngineStats::kv: what it keeps of all it sees, then of its newest tokens; none: it reads nothing
  bool own = true;
};

std::vector<size_t> groups_of(const EngineStats& stats, int layer) {
  std::vector<size_t> groups;
  for (size_t i = 0; i < stats.kv.size(); ++i) {
    if (std::ranges::count(stats.kv[i].layer_indices, layer) > 0) groups.push_back(i);
  }
  return groups;
}

std::vector<Row> rows_of(const ModelFacts& facts, const EngineStats& stats) {
  std::vector<Row> rows;
  for (const LayerFacts& layer : facts.layers)
    rows.push_back({groups_of(stats, layer.shares_with.value_or(layer.index)), !layer.shares_with});
  return rows;
}

int row_pixels(size_t rows) { return rows <= kMostLabels ? 12 : rows <= 48 ? 9 : 7; }

// Steps of 1, 2 or 5 times a power of ten, four or five of them.
int tick_step(int tokens) {
  for (int step = 1;; step *= 10) {
    for (const int factor : {1, 2, 5}) {
      if (int64_t{step} * factor * 5 >= tokens) return step * factor;
    }
  }
}

std::string share_class(const CacheSpan& span) {
  const int sharers = span.holders + span.keepers;
  return sharers <= 1 ? "s1" : sharers <= 3 ? "s2" : "s3";
}

std::string span_hint(const KvGroupStats& group, int layer, bool own, const CacheSpan& span) {
  std::string text = fmt::format("layer {}, {}", layer, group.kind);
  if (!own) text += ", read from an earlier layer";
  text += group.kind == "state" ? fmt::format(": state after {} tokens", count_text(span.end))
                                : fmt::format(", {}: positions {} to {}", group.codec, count_text(span.begin), count_text(span.end - 1));
  return text + fmt::format("; held by {}, kept by {}", span.holders, span.keepers);
}

std::string draw_group(const CachePath& path, const KvGroupStats& group, size_t number, bool own, size_t layer) {
  std::string svg;
  const double y = static_cast<double>(layer) + 0.08, height = own ? 0.84 : 0.3;
  for (const CacheSpan& span : path.groups[number]) {
    double begin = span.begin, width = span.end - span.begin;
    if (group.kind == "state") {  // a state is of one position: wide enough to be seen
      width = std::max(1.0, path.tokens / 120.0);
      begin = std::max(0.0, span.end - width);
    }
    svg += fmt::format("<rect class=\"{} {}\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"><title>{}</title></rect>\n",
                       group.kind, share_class(span), begin, y, width, height, span_hint(group, static_cast<int>(layer), own, span));
  }
  return svg;
}

std::string draw_row(const CachePath& path, const EngineStats& stats, const Row& row, size_t layer) {
  std::string svg;
  for (const size_t group : row.groups) svg += draw_group(path, stats.kv[group], group, row.own, layer);
  return svg;
}

std::string draw_field(const CachePath& path, const EngineStats& stats, const std::vector<Row>& rows) {
  const size_t count = std::max<size_t>(1, rows.size());
  const int width = std::max(1, path.tokens);
  std::string svg = fmt::format(
      "<svg class=\"field\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" style=\"height:{}px\" role=\"img\" "
      "aria-label=\"layers by positions\">\n",
      width, count, static_cast<int>(count) * row_pixels(count));
  for (size_t layer = 0; layer < rows.size(); ++layer) {
    svg +=
        fmt::format("<rect class=\"gone\" x=\"0\" y=\"{:.2f}\" width=\"{}\" height=\"0.84\"/>\n", static_cast<double>(layer) + 0.08, width);
    svg += draw_row(path, stats, rows[layer], layer);
  }
  if (path.shared_tokens > 0) {
    svg += fmt::format(
        "<rect class=\"before\" x=\"0\" y=\"0\" width=\"{}\" height=\"{}\"><title>the same as in a picture above"
        "</title></rect>\n",
        path.shared_tokens, count);
  }
  for (const CacheBoundary& boundary : path.boundaries) {
    svg += fmt::format("<line class=\"boundary\" x1=\"{0}\" x2=\"{0}\" y1=\"0\" y2=\"{1}\"/>\n", boundary.position, count);
  }
  return svg + "</svg>\n";
}

std::string layer_labels(size_t rows) {
  const int pixels = row_pixels(rows), every = rows <= kMostLabels ? 1 : 4;
  std::string html = fmt::format("<div class=\"layers\" style=\"height:{}px\">", static_cast<int>(rows) * pixels);
  for (size_t layer = 0; layer < rows; layer += static_cast<size_t>(every))
    html += fmt::format("<span style=\"top:{}px\">{}</span>", static_cast<int>(layer) * pixels + pixels / 2, layer);
  return html + "</div>\n";
}

double percent(int position, int tokens) { return 100.0 * position / std::max(1, tokens); }

std::string axis(int tokens) {
  std::string html = "<div class=\"axis\">";
  const int step = tick_step(std::max(1, tokens));
  for (int at = 0; at < tokens - step / 3; at += step)
    html += fmt::format("<span style=\"left:{:.2f}%\">{}</span>", percent(at, tokens), count_text(at));
  return html + fmt::format("<span class=\"last\" style=\"left:100%\">{}</span></div>\n", count_text(tokens));
}

std::string boundary_hint(const CacheBoundary& boundary) {
  std::string text = fmt::format("{} at {}", boundary.kind, count_text(boundary.position));
  if (!boundary.continuable) text += ", its windows were dropped";
  if (boundary.priority) text += ", priority";
  if (boundary.seconds_left) text += fmt::format(", forgotten in {:.0f} s", *boundary.seconds_left);
  return text + fmt::format(", wanted {:.1f} times", boundary.wanted);
}

std::string marks(const CachePath& path) {
  std::string html = "<div class=\"marks\">";
  for (const CacheBoundary& boundary : path.boundaries) {
    html += fmt::format("<i class=\"b {}{}\" style=\"left:{:.2f}%\" title=\"{}\"></i>", boundary.kind,
                        boundary.continuable ? "" : " hollow", percent(boundary.position, path.tokens), boundary_hint(boundary));
  }
  for (const CacheLoss& loss : path.losses) {
    html += fmt::format("<b class=\"loss\" style=\"left:{:.2f}%\" title=\"{} at {} was {}\">&times;</b>",
                        percent(std::min(loss.position, path.tokens), path.tokens), loss.window_only ? "window" : "what followed",
                        count_text(loss.position), loss.expired ? "kept until its time was over" : "dropped for budget");
  }
  return html + "</div>\n";
}

std::string boundary_list(const CachePath& path) {
  if (path.boundaries.empty()) return "";
  std::string text;
  for (const CacheBoundary& boundary : path.boundaries) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", boundary.kind, count_text(boundary.position));
    if (!boundary.continuable) text += " (windows dropped)";
  }
  return fmt::format("<p class=\"small\">continues from: {}</p>\n", text);
}

std::string heading(const CachePath& path, int number) {
  std::string text = path.running ? fmt::format("Running sequence {}", number) : fmt::format("Kept prefix {}", number);
  text += fmt::format(" &middot; {} tokens", count_text(path.tokens));
  if (path.shared_tokens > 0) text += fmt::format(", the first {} as above", count_text(path.shared_tokens));
  if (!path.salt.empty()) text += ", salt " + html_escaped(path.salt);
  return "<h3>" + text + "</h3>\n";
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '<') escaped += "&lt;";
    else if (c == '>') escaped += "&gt;";
    else if (c == '&') escaped += "&amp;";
    else if (c == '"') escaped += "&quot;";
    else escaped += c;
  }
  return escaped;
}

std::string kv_pictures(const ModelFacts& facts, const CacheMap& map, const EngineStats& stats) {
  const std::vector<Row> rows = rows_of(facts, stats);
  std::string html;
  int running = 0, kept = 0;
  for (const CachePath& path : map.paths) {
    html += "<div class=\"path\">\n" + heading(path, path.running ? ++running : ++kept);
    html += "<div class=\"plot\">" + layer_labels(rows.size()) + "<div class=\"right\">" + marks(path) + draw_field(path, stats, rows) +
            axis(path.tokens) + "</div></div>\n" + boundary_list(path) + "</div>\n";
  }
  if (map.paths.empty()) html += "<p>The cache is empty.</p>\n";
  if (map.left_out > 0) html += fmt::format("<p>{} more kept prefixes are not drawn.</p>\n", count_text(map.left_out));
  return html;
}

std::string kv_legend(const EngineStats& stats) {
  std::string html = "<p class=\"legend\">";
  std::set<std::string> seen;
  for (const KvGroupStats& group : stats.kv) {
    std::string label = group.kind;
    if (group.window > 0) label += fmt::format(", window {}", count_text(group.window));
    if (!group.codec.empty()) label += ", " + group.codec;
    if (seen.insert(label).second) html += fmt::format("<span><i class=\"swatch {} s3\"></i>{}</span>", group.kind, label);
  }
  const std::string kind = stats.kv.empty() ? "global" : stats.kv.front().kind;
  constexpr const char* kShares[] = {"1 user", "2 or 3 users", "4 or more"};
  for (int i = 0; i < 3; ++i) html += fmt::format("<span><i class=\"swatch {} s{}\"></i>{}</span>", kind, i + 1, kShares[i]);
  html += "<span><i class=\"swatch gone\"></i>given back, or not kept</span>";
  html += "<span><i class=\"b end key\"></i>boundary: requests can continue here</span>";
  html += "<span><i class=\"b hollow key\"></i>boundary whose windows were dropped</span>";
  return html +
         "<span><b class=\"loss key\">&times;</b>dropped or expired</span></p>\n"
         "<p class=\"small\">Across: positions, in tokens. Down: layers. Users of a page are running sequences, kept "
         "prefixes and boundaries; they share it and nothing is copied.</p>\n";
}

}  // namespace fovea::cli
