// Speed against how much is computed per byte read (the roofline of Williams, Waterman and Patterson, 2009): below the sloped roof
// memory decides, below the flat one arithmetic.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fovea/error.h"
#include "fovea/evaluation.h"
#include "planner/figures/svg.h"

namespace fovea {
namespace {

using planner::Anchor;
using planner::Point;
using planner::Svg;

constexpr double kLeft = 84, kTop = 60, kWidth = 620, kHeight = 400, kLegendX = kLeft + kWidth + 24, kLegendLine = 38;

double intensity(const SpeedRow& row) {
  return static_cast<double>(row.macs_per_token) / static_cast<double>(std::max<int64_t>(row.bytes_per_token, 1));
}

// Both axes in decades.
struct Plane {
  double low_x = 0, high_x = 0, low_y = 0, high_y = 0;  // powers of ten

  Plane(const MachineLimits& limits, const std::vector<SpeedRow>& rows) {
    const double ridge = limits.int8_gmac_per_s / limits.read_gb_per_s;
    double least = ridge, most = ridge, slowest = limits.int8_gmac_per_s;
    for (const SpeedRow& row : rows) {
      least = std::min(least, intensity(row));
      most = std::max(most, intensity(row));
      slowest = std::min(slowest, row.gmac_per_s);
    }
    low_x = std::floor(std::log10(std::max(least, 1e-3)));
    high_x = std::ceil(std::log10(most) + 1e-9);
    low_y = std::floor(std::log10(std::max(slowest, 1e-3)));
    high_y = std::ceil(std::log10(limits.int8_gmac_per_s) + 1e-9);
  }

  Point at(double macs_per_byte, double gmac_per_s) const {
    return {kLeft + kWidth * (std::log10(macs_per_byte) - low_x) / (high_x - low_x),
            kTop + kHeight * (high_y - std::log10(gmac_per_s)) / (high_y - low_y)};
  }

  void draw(Svg& svg) const {
    for (int power = static_cast<int>(low_x); power <= static_cast<int>(high_x); ++power) {
      const double x = at(std::pow(10, power), 1).x;
      svg.line({x, kTop}, {x, kTop + kHeight}, {.colour = "#ddd"});
      svg.text({x, kTop + kHeight + 18}, fmt::format("{:g}", std::pow(10, power)), {.anchor = Anchor::middle});
    }
    for (int power = static_cast<int>(low_y); power <= static_cast<int>(high_y); ++power) {
      const double y = at(1, std::pow(10, power)).y;
      svg.line({kLeft, y}, {kLeft + kWidth, y}, {.colour = "#ddd"});
      svg.text({kLeft - 8, y + 4}, fmt::format("{:g}", std::pow(10, power)), {.anchor = Anchor::end});
    }
    svg.text({kLeft + kWidth / 2, kTop + kHeight + 42}, "multiply-adds per byte read", {.size = 13, .anchor = Anchor::middle});
    svg.vertical_text({24, kTop + kHeight / 2}, "GMAC/s", {.size = 13, .anchor = Anchor::middle});
  }
};

void draw_roof(Svg& svg, const Plane& plane, const MachineLimits& limits) {
  const double ridge = limits.int8_gmac_per_s / limits.read_gb_per_s;
  // the slope begins at the plane's left edge or, where it is lower than the plane there, at its bottom
  const double begin = std::max(std::pow(10, plane.low_x), std::pow(10, plane.low_y) / limits.read_gb_per_s);
  const Point top = plane.at(ridge, limits.int8_gmac_per_s);
  const Point end = plane.at(std::pow(10, plane.high_x), limits.int8_gmac_per_s);
  svg.polyline({plane.at(begin, begin * limits.read_gb_per_s), top, end}, {.width = 2});
  svg.text({end.x - 6, end.y - 8}, fmt::format("{:.0f} GMAC/s of 8 bits", limits.int8_gmac_per_s), {.anchor = Anchor::end});
  const double middle = std::sqrt(begin * ridge);
  const Point on_slope = plane.at(middle, middle * limits.read_gb_per_s);
  svg.text({on_slope.x - 8, on_slope.y - 8}, fmt::format("{:.1f} GB/s read", limits.read_gb_per_s), {.anchor = Anchor::end});
}

void draw_row(Svg& svg, const Plane& plane, const SpeedRow& row, size_t index) {
  const std::string_view colour = planner::series_colour(index);
  const std::string name = fmt::format("{} at depth {}", row.phase, row.depth);
  const std::string share = fmt::format("{:.0f} GMAC/s, {:.0f} % of its limit", row.gmac_per_s, 100 * row.share_of_limit);
  svg.circle(plane.at(intensity(row), row.gmac_per_s), 5, colour, name + ": " + share);
  const double y = kTop + 10 + kLegendLine * static_cast<double>(index);
  svg.circle({kLegendX + 6, y}, 5, colour, name);
  svg.text({kLegendX + 20, y + 4}, name, {.bold = true});
  svg.text({kLegendX + 20, y + 19}, share, {.size = 11, .colour = "#555"});
}

}  // namespace

std::string roofline_figure(std::string_view model, const MachineLimits& limits, const std::vector<SpeedRow>& rows) {
  if (rows.empty()) throw Error("nothing was measured to draw", "figure", "measure prefill (-p) or decode (-n)");
  if (!(limits.int8_gmac_per_s > 0 && limits.read_gb_per_s > 0)) {
    throw Error("the limits of this machine are not known", "figure", "use kernels that have a probe of byte products, not \"scalar\"");
  }
  const double legend_end = kTop + kLegendLine * static_cast<double>(rows.size());
  Svg svg(980, static_cast<int>(std::max(kTop + kHeight + 70, legend_end + 40)),
          fmt::format("{} on {} thread{}: speed beside the machine's limits", model, limits.threads, limits.threads == 1 ? "" : "s"));
  const Plane plane(limits, rows);
  plane.draw(svg);
  draw_roof(svg, plane, limits);
  for (size_t i = 0; i < rows.size(); ++i) draw_row(svg, plane, rows[i], i);

  nlohmann::ordered_json data = {{"figure", "roofline"},
                                 {"model", model},
                                 {"threads", limits.threads},
                                 {"read_gb_per_s", limits.read_gb_per_s},
                                 {"int8_gmac_per_s", limits.int8_gmac_per_s}};
  for (const SpeedRow& row : rows) {
    data["rows"].push_back({{"phase", row.phase},
                            {"depth", row.depth},
                            {"macs_per_byte", intensity(row)},
                            {"gmac_per_s", row.gmac_per_s},
                            {"gb_per_s", row.gb_per_s},
                            {"share_of_limit", row.share_of_limit}});
  }
  return svg.document(data);
}

}  // namespace fovea
