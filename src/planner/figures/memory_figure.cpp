// Keys and values against context: what each model keeps, and what it would keep if all its layers were
// global.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fovea/error.h"
#include "fovea/plan.h"
#include "planner/figures/svg.h"

namespace fovea {
namespace {

using planner::Anchor;
using planner::Point;
using planner::Svg;

constexpr int kFirstContext = 1024, kLastContext = 131072;
constexpr double kLeft = 104, kTop = 60, kPlotWidth = 640, kPlotHeight = 400, kLegendX = kLeft + kPlotWidth + 24;

struct Series {
  std::string name;
  std::vector<int> contexts;
  std::vector<int64_t> bytes, all_global_bytes;
};

Series series_of(const Planner& model, PlanOptions options) {
  Series series;
  for (int context = kFirstContext; context <= kLastContext; context *= 2) {
    options.context_tokens = context;
    options.shared_prefix_tokens = std::min(options.shared_prefix_tokens, context);
    const Plan plan = model.plan(options);
    series.name = plan.model;
    series.contexts.push_back(context);
    series.bytes.push_back(plan.kv_bytes);
    series.all_global_bytes.push_back(plan.kv_all_global_bytes);
  }
  return series;
}

// Both axes double from one line of the grid to the next.
class Plane {
 public:
  explicit Plane(const std::vector<Series>& all) {
    int64_t least = INT64_MAX, most = 1;
    for (const Series& series : all) {
      least = std::min(least, *std::min_element(series.bytes.begin(), series.bytes.end()));
      most = std::max(most, *std::max_element(series.all_global_bytes.begin(), series.all_global_bytes.end()));
    }
    low_ = std::floor(std::log2(static_cast<double>(std::max<int64_t>(least, 1))));
    high_ = std::max(low_ + 1, std::ceil(std::log2(static_cast<double>(most))));
  }

  double x(int context) const {
    return kLeft + kPlotWidth * std::log2(double(context) / kFirstContext) / std::log2(double(kLastContext) / kFirstContext);
  }
  double y(int64_t bytes) const {
    return kTop + kPlotHeight * (high_ - std::log2(static_cast<double>(std::max<int64_t>(bytes, 1)))) / (high_ - low_);
  }

  void draw(Svg& svg) const {
    for (int context = kFirstContext; context <= kLastContext; context *= 2) {
      svg.line({x(context), kTop}, {x(context), kTop + kPlotHeight}, {.colour = "#ddd"});
      svg.text({x(context), kTop + kPlotHeight + 18}, fmt::format("{}k", context / 1024), {.anchor = Anchor::middle});
    }
    const int every = high_ - low_ > 12 ? 2 : 1;
    for (int power = static_cast<int>(low_); power <= static_cast<int>(high_); power += every) {
      const int64_t bytes = int64_t{1} << power;
      svg.line({kLeft, y(bytes)}, {kLeft + kPlotWidth, y(bytes)}, {.colour = "#ddd"});
      svg.text({kLeft - 8, y(bytes) + 4}, memory_text(bytes), {.anchor = Anchor::end});
    }
    svg.text({kLeft + kPlotWidth / 2, kTop + kPlotHeight + 40}, "context, tokens", {.size = 13, .anchor = Anchor::middle});
    svg.vertical_text({22, kTop + kPlotHeight / 2}, "keys and values of one sequence", {.size = 13, .anchor = Anchor::middle});
  }

 private:
  double low_ = 0, high_ = 1;  // powers of two
};

void draw_series(Svg& svg, const Plane& plane, const Series& series, size_t index) {
  const std::string_view colour = planner::series_colour(index);
  std::vector<Point> kept, all_global;
  for (size_t i = 0; i < series.contexts.size(); ++i) {
    kept.push_back({plane.x(series.contexts[i]), plane.y(series.bytes[i])});
    all_global.push_back({plane.x(series.contexts[i]), plane.y(series.all_global_bytes[i])});
  }
  if (series.bytes != series.all_global_bytes) svg.polyline(all_global, {.colour = colour, .width = 1.5, .dashed = true});
  svg.polyline(kept, {.colour = colour, .width = 2.5});
  for (size_t i = 0; i < kept.size(); ++i) {
    svg.circle(kept[i], 3.5, colour, fmt::format("{}: {} at {} tokens", series.name, memory_text(series.bytes[i]), series.contexts[i]));
  }
  const double y = kTop + 14 + 40 * static_cast<double>(index);
  svg.line({kLegendX, y}, {kLegendX + 28, y}, {.colour = colour, .width = 2.5});
  svg.text({kLegendX + 36, y + 4}, series.name, {.bold = true});
  svg.text({kLegendX + 36, y + 19}, fmt::format("{} at 128k", memory_text(series.bytes.back())), {.size = 11, .colour = "#555"});
}

}  // namespace

std::string memory_figure(const std::vector<Planner>& models, const PlanOptions& options) {
  if (models.empty()) throw Error("no model to draw", "figure", "name at least one");
  std::vector<Series> all;
  for (const Planner& model : models) all.push_back(series_of(model, options));
  const double legend_end = kTop + 14 + 40 * static_cast<double>(all.size());
  Svg svg(1000, static_cast<int>(std::max(530.0, legend_end + 60)),
          fmt::format("Keys and values against context ({} local, {} global)", options.kv_local, options.kv_global));
  const Plane plane(all);
  plane.draw(svg);
  for (size_t i = 0; i < all.size(); ++i) draw_series(svg, plane, all[i], i);
  svg.line({kLegendX, legend_end}, {kLegendX + 28, legend_end}, {.width = 1.5, .dashed = true});
  svg.text({kLegendX + 36, legend_end + 4}, "if all layers were global");

  nlohmann::ordered_json data = {{"figure", "memory"}, {"unit", "bytes"}, {"kv_local", options.kv_local}, {"kv_global", options.kv_global}};
  for (const Series& series : all) {
    data["series"].push_back({{"model", series.name},
                              {"context", series.contexts},
                              {"kv_bytes", series.bytes},
                              {"kv_all_global_bytes", series.all_global_bytes}});
  }
  return svg.document(data);
}

}  // namespace fovea
