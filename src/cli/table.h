// Text in aligned columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fovea::cli {

// Columns are as wide as their widest cell and stand two spaces apart; lines have no trailing spaces.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::right;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add_row(std::vector<std::string> cells);  // REQUIRES as many cells as columns
  std::string text() const;                      // titles first; each line ends in a newline

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that UTF-8 text takes, one per code point.
size_t text_columns(std::string_view text);

}  // namespace fovea::cli
