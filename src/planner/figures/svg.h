// A small writer of SVG: shapes with coordinates in pixels, text, and the source data of a figure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::planner {

enum class Anchor : uint8_t { start, middle, end };

struct TextStyle {
  int size = 12;
  Anchor anchor = Anchor::start;
  std::string_view colour = "#222";
  bool bold = false;
};

// A mark is told apart by colour, and by a dash where colours alone would not do.
struct Stroke {
  std::string_view colour = "#222";
  double width = 1;
  bool dashed = false;
};

struct Point {
  double x = 0, y = 0;
};

class Svg {
 public:
  Svg(int width, int height, std::string_view title);

  void line(Point from, Point to, const Stroke& stroke);
  void polyline(const std::vector<Point>& points, const Stroke& stroke);
  // `hint` is shown when the pointer rests on the rectangle; may be empty.
  void rectangle(Point corner, double width, double height, std::string_view fill, std::string_view hint = "");
  void circle(Point centre, double radius, std::string_view fill, std::string_view hint);
  void text(Point at, std::string_view text, const TextStyle& style = {});
  void vertical_text(Point at, std::string_view text, const TextStyle& style = {});

  // The whole document, with `data` as JSON in <metadata>.
  std::string document(const nlohmann::ordered_json& data) const;

 private:
  void write_text(Point at, std::string_view text, const TextStyle& style, std::string_view transform);

  int width_, height_;
  std::string title_, body_;
};

// Colours that stay apart for most people who see few of them (Okabe and Ito).
std::string_view series_colour(size_t index);
std::string_view kind_colour(std::string_view kind);  // of layers and groups

// Round steps for an axis from 0 to at least `largest`, in bytes: about five of them.
std::vector<int64_t> memory_ticks(int64_t largest);

}  // namespace fovea::planner
