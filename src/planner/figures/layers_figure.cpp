// One column per layer: its kind, and what it keeps at the context.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "fovea/plan.h"
#include "planner/figures/svg.h"

namespace fovea {
namespace {

using planner::Anchor;
using planner::Svg;

constexpr double kLeft = 90, kTop = 60, kPlotWidth = 860, kPlotHeight = 240, kStripHeight = 34;
constexpr std::string_view kSharedColour = "#cccccc";

struct Column {
  PlanLayer layer;
  int64_t bytes = 0;  // at the context, one sequence
};

std::vector<Column> columns_of(const Plan& plan) {
  std::vector<Column> columns;
  for (const PlanLayer& layer : plan.layers) columns.push_back({layer});
  for (const PlanGroup& group : plan.groups) {
    for (const int layer : group.layers) {
      columns[static_cast<size_t>(layer)].bytes = group.bytes / static_cast<int64_t>(group.layers.size()) / plan.sequences;
    }
  }
  return columns;
}

// "local, window 512", "chunked, chunks of 8192", "global"
std::string label_of(const PlanLayer& layer) {
  if (!layer.window) return layer.kind;
  return fmt::format("{}, {} {}", layer.kind, layer.kind == "chunked" ? "chunks of" : "window", *layer.window);
}

std::string hint_of(size_t index, const Column& column) {
  std::string text = fmt::format("layer {}: {}", index, label_of(column.layer));
  if (column.layer.shares_with) return text + fmt::format(", reads layer {}", *column.layer.shares_with);
  return text + ", " + memory_text(column.bytes);
}

void draw_legend(Svg& svg, const std::vector<Column>& columns) {
  std::set<std::pair<std::string, std::string>> seen;  // label, colour
  for (const Column& column : columns) {
    const std::string label = label_of(column.layer);
    if (column.layer.shares_with) seen.emplace("reads an earlier layer's", kSharedColour);
    else seen.emplace(label, planner::kind_colour(column.layer.kind));
  }
  double x = kLeft;
  for (const auto& [label, colour] : seen) {
    svg.rectangle({x, kTop + kPlotHeight + kStripHeight + 48}, 14, 14, colour);
    svg.text({x + 20, kTop + kPlotHeight + kStripHeight + 60}, label);
    x += 50 + 7.0 * static_cast<double>(label.size());
  }
}

}  // namespace

std::string layers_figure(const Planner& model, const PlanOptions& options) {
  const Plan plan = model.plan(options);
  const std::vector<Column> columns = columns_of(plan);
  int64_t largest = 1;
  for (const Column& column : columns) largest = std::max(largest, column.bytes);
  const std::vector<int64_t> ticks = planner::memory_ticks(largest);
  const double bytes_per_pixel = static_cast<double>(ticks.back()) / kPlotHeight;

  Svg svg(1000, 420,
          fmt::format("{}: what each layer keeps at {} tokens ({} in all)", plan.model, plan.context_tokens,
                      memory_text(plan.kv_bytes / plan.sequences)));
  svg.vertical_text({22, kTop + kPlotHeight / 2}, "kept per layer", {.size = 13, .anchor = Anchor::middle});
  for (const int64_t tick : ticks) {
    const double y = kTop + kPlotHeight - static_cast<double>(tick) / bytes_per_pixel;
    svg.line({kLeft, y}, {kLeft + kPlotWidth, y}, {.colour = "#ddd"});
    svg.text({kLeft - 8, y + 4}, memory_text(tick), {.anchor = Anchor::end});
  }
  const double slot = kPlotWidth / static_cast<double>(columns.size());
  nlohmann::ordered_json data = {{"figure", "layers"}, {"unit", "bytes"}, {"model", plan.model}, {"context", plan.context_tokens}};
  for (size_t i = 0; i < columns.size(); ++i) {
    const Column& column = columns[i];
    const double x = kLeft + slot * static_cast<double>(i), height = static_cast<double>(column.bytes) / bytes_per_pixel;
    const std::string_view colour = column.layer.shares_with ? kSharedColour : planner::kind_colour(column.layer.kind);
    svg.rectangle({x + slot * 0.1, kTop + kPlotHeight - height}, slot * 0.8, height, colour, hint_of(i, column));
    svg.rectangle({x + slot * 0.05, kTop + kPlotHeight + 10}, slot * 0.9, kStripHeight - 10, colour, hint_of(i, column));
    const size_t every = columns.size() > 40 ? 4 : columns.size() > 20 ? 2 : 1;
    if (i % every == 0) {
      svg.text({x + slot / 2, kTop + kPlotHeight + kStripHeight + 16}, fmt::format("{}", i), {.size = 10, .anchor = Anchor::middle});
    }
    data["layers"].push_back(
        {{"index", i}, {"kind", column.layer.kind}, {"window", nullptr}, {"shares_with", nullptr}, {"bytes", column.bytes}});
    if (column.layer.window) data["layers"].back()["window"] = *column.layer.window;
    if (column.layer.shares_with) data["layers"].back()["shares_with"] = *column.layer.shares_with;
  }
  svg.text({kLeft + kPlotWidth / 2, kTop + kPlotHeight + kStripHeight + 36}, "layer", {.size = 13, .anchor = Anchor::middle});
  draw_legend(svg, columns);
  return svg.document(data);
}

}  // namespace fovea
