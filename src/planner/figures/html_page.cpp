#include <fmt/format.h>

#include "fovea/plan.h"

namespace fovea {

std::string as_html(const std::string& svg, const std::string& title) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{}</title>\n"
      "<style>body{{margin:2em;font-family:Helvetica,Arial,sans-serif}}svg{{max-width:100%;height:auto}}</"
      "style></head>\n"
      "<body>\n{}</body>\n</html>\n",
      title, svg);
}

}  // namespace fovea
