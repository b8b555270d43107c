#include "planner/figures/svg.h"

#include <fmt/format.h>

#include <array>

namespace fovea::planner {
namespace {

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '&':
        safe += "&amp;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return safe;
}

std::string_view anchor_name(Anchor anchor) { return anchor == Anchor::start ? "start" : anchor == Anchor::middle ? "middle" : "end"; }

std::string stroke_attributes(const Stroke& stroke) {
  return fmt::format("stroke=\"{}\" stroke-width=\"{}\"{}", stroke.colour, stroke.width, stroke.dashed ? " stroke-dasharray=\"5 4\"" : "");
}

std::string hint_element(std::string_view hint) { return hint.empty() ? "" : fmt::format("<title>{}</title>", escaped(hint)); }

}  // namespace

Svg::Svg(int width, int height, std::string_view title) : width_(width), height_(height), title_(title) {
  rectangle({0, 0}, width, height, "#fff");
  text({20, 28}, title, {.size = 16, .bold = true});
}

void Svg::line(Point from, Point to, const Stroke& stroke) {
  body_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", from.x, from.y, to.x, to.y,
                       stroke_attributes(stroke));
}

void Svg::polyline(const std::vector<Point>& points, const Stroke& stroke) {
  body_ += "<polyline fill=\"none\" points=\"";
  for (const Point& point : points) body_ += fmt::format("{:.1f},{:.1f} ", point.x, point.y);
  body_ += fmt::format("\" {}/>\n", stroke_attributes(stroke));
}

void Svg::rectangle(Point corner, double width, double height, std::string_view fill, std::string_view hint) {
  body_ += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\">{}</rect>\n", corner.x, corner.y,
                       width, height, fill, hint_element(hint));
}

void Svg::circle(Point centre, double radius, std::string_view fill, std::string_view hint) {
  body_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\">{}</circle>\n", centre.x, centre.y, radius, fill,
                       hint_element(hint));
}

void Svg::text(Point at, std::string_view text, const TextStyle& style) { write_text(at, text, style, ""); }

void Svg::vertical_text(Point at, std::string_view text, const TextStyle& style) {
  write_text(at, text, style, fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", at.x, at.y));
}

void Svg::write_text(Point at, std::string_view text, const TextStyle& style, std::string_view transform) {
  body_ +=
      fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\" text-anchor=\"{}\" fill=\"{}\"{}{}>{}</text>\n", at.x, at.y, style.size,
                  anchor_name(style.anchor), style.colour, style.bold ? " font-weight=\"bold\"" : "", transform, escaped(text));
}

std::string Svg::document(const nlohmann::ordered_json& data) const {
  const std::string json = data.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "role=\"img\" "
      "font-family=\"Helvetica, Arial, "
      "sans-serif\">\n<title>{2}</title>\n<metadata>{3}</metadata>\n{4}</svg>\n",
      width_, height_, escaped(title_), escaped(json), body_);
}

std::string_view series_colour(size_t index) {
  constexpr std::array<std::string_view, 8> kColours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                        "#E69F00", "#56B4E9", "#7A4B00", "#555555"};
  return kColours[index % kColours.size()];
}

std::string_view kind_colour(std::string_view kind) {
  if (kind == "local") return "#56B4E9";
  if (kind == "chunked") return "#009E73";
  if (kind == "latent") return "#CC79A7";
  if (kind == "state") return "#E69F00";
  return "#D55E00";
}

std::vector<int64_t> memory_ticks(int64_t largest) {
  constexpr int kTicks = 5;
  int64_t step = 1;
  while (step * kTicks < largest) step *= 2;
  std::vector<int64_t> ticks;
  for (int64_t tick = 0; tick < largest + step; tick += step) ticks.push_back(tick);
  return ticks;
}

}  // namespace fovea::planner
