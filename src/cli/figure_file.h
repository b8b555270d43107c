// Figures as files.
#pragma once

#include <string>

namespace fovea::cli {

// Writes an SVG document, as a self-contained page where the path ends in .html. The file appears only when it is complete.
// errors: Error when it cannot be written
void write_figure(const std::string& path, const std::string& svg, const std::string& title);

}  // namespace fovea::cli
