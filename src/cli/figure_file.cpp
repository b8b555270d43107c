#include "cli/figure_file.h"

#include <filesystem>
#include <fstream>

#include "fovea/error.h"
#include "fovea/plan.h"

namespace fovea::cli {

void write_figure(const std::string& path, const std::string& svg, const std::string& title) {
  const std::string aside = path + ".part";
  std::ofstream file(aside, std::ios::binary);
  file << (path.ends_with(".html") ? as_html(svg, title) : svg);
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(aside, path, error);
  if (file && !error) return;
  std::filesystem::remove(aside, error);
  throw Error("cannot be written", path, "name a file in a folder that exists and may be written");
}

}  // namespace fovea::cli
