// Weights and K/V stacked, for all-global layers and for mixtures of local and global ones.
#include <fmt/format.h>

#include <algorithm>

#include "fovea/plan.h"
#include "planner/figures/svg.h"

namespace fovea {
namespace {

using planner::Anchor;
using planner::Svg;

constexpr int kUsualContext = 32768;
constexpr double kLeft = 90, kTop = 70, kPlotWidth = 720, kPlotHeight = 380;
constexpr std::string_view kWeightsColour = "#999999", kLocalColour = "#56B4E9", kOtherColour = "#D55E00";

struct Bar {
  std::string name, detail;
  Plan plan;
  int64_t local_bytes = 0;

  int64_t other_bytes() const { return plan.kv_bytes - local_bytes; }
  int64_t total() const { return plan.weights_bytes + plan.kv_bytes; }
};

Bar bar_of(const Planner& model, PlanOptions options, int local, int global, int window) {
  options.what_if.ratio = std::pair(local, global);
  if (local > 0) options.what_if.window = window;
  Bar bar;
  bar.name = local == 0 ? "global only" : fmt::format("{} global : {} local", global, local);
  bar.detail = local == 0 ? "" : fmt::format("window {}", window);
  bar.plan = model.plan(options);
  for (const PlanGroup& group : bar.plan.groups) {
    if (group.window) bar.local_bytes += group.bytes;
  }
  return bar;
}

void draw_bar(Svg& svg, const Bar& bar, double x, double width, double bytes_per_pixel) {
  double y = kTop + kPlotHeight;
  const auto piece = [&](int64_t bytes, std::string_view colour, const char* what) {
    const double height = static_cast<double>(bytes) / bytes_per_pixel;
    y -= height;
    svg.rectangle({x, y}, width, height, colour, fmt::format("{}: {}", what, memory_text(bytes)));
    if (height >= 16) svg.text({x + width / 2, y + height / 2 + 4}, memory_text(bytes), {.size = 11, .anchor = Anchor::middle});
  };
  piece(bar.plan.weights_bytes, kWeightsColour, "weights");
  piece(bar.other_bytes(), kOtherColour, "K/V of global layers");
  piece(bar.local_bytes, kLocalColour, "K/V of local layers");
  svg.text({x + width / 2, y - 6}, memory_text(bar.total()), {.anchor = Anchor::middle, .bold = true});
  svg.text({x + width / 2, kTop + kPlotHeight + 18}, bar.name, {.anchor = Anchor::middle});
  svg.text({x + width / 2, kTop + kPlotHeight + 34}, bar.detail, {.anchor = Anchor::middle, .colour = "#555"});
}

void draw_legend(Svg& svg) {
  double y = kTop + 10;
  for (const auto& [colour, what] :
       {std::pair{kLocalColour, "K/V, local layers"}, {kOtherColour, "K/V, global layers"}, {kWeightsColour, "weights"}}) {
    svg.rectangle({kLeft + kPlotWidth + 20, y}, 14, 14, colour);
    svg.text({kLeft + kPlotWidth + 42, y + 12}, what);
    y += 24;
  }
}

}  // namespace

std::string bars_figure(const Planner& model, const PlanOptions& wanted) {
  PlanOptions options = wanted;
  if (options.context_tokens == 0) options.context_tokens = kUsualContext;
  const std::vector<Bar> bars = {bar_of(model, options, 0, 1, 0), bar_of(model, options, 1, 1, 4096), bar_of(model, options, 1, 1, 1024),
                                 bar_of(model, options, 3, 1, 4096), bar_of(model, options, 3, 1, 1024)};
  int64_t largest = 1;
  for (const Bar& bar : bars) largest = std::max(largest, bar.total());
  const std::vector<int64_t> ticks = planner::memory_ticks(largest + largest / 20);
  const double bytes_per_pixel = static_cast<double>(ticks.back()) / kPlotHeight;

  const Plan& first = bars.front().plan;
  Svg svg(1000, 520,
          fmt::format("{}: weights ({}) and keys and values at {} tokens", first.model, first.weights_format, first.context_tokens));
  svg.vertical_text({22, kTop + kPlotHeight / 2}, "memory", {.size = 13, .anchor = Anchor::middle});
  for (const int64_t tick : ticks) {
    const double y = kTop + kPlotHeight - static_cast<double>(tick) / bytes_per_pixel;
    svg.line({kLeft, y}, {kLeft + kPlotWidth, y}, {.colour = "#ddd"});
    svg.text({kLeft - 8, y + 4}, memory_text(tick), {.anchor = Anchor::end});
  }
  const double slot = kPlotWidth / static_cast<double>(bars.size());
  nlohmann::ordered_json data = {{"figure", "bars"}, {"unit", "bytes"}, {"model", first.model}, {"context", first.context_tokens}};
  for (size_t i = 0; i < bars.size(); ++i) {
    draw_bar(svg, bars[i], kLeft + slot * (static_cast<double>(i) + 0.2), slot * 0.6, bytes_per_pixel);
    data["bars"].push_back({{"name", bars[i].name},
                            {"detail", bars[i].detail},
                            {"weights_bytes", bars[i].plan.weights_bytes},
                            {"kv_local_bytes", bars[i].local_bytes},
                            {"kv_global_bytes", bars[i].other_bytes()}});
  }
  draw_legend(svg);
  return svg.document(data);
}

}  // namespace fovea
