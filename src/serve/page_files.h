// The files of the page, made from web/ by the build (web/embed.mjs) and held in the program.
#pragma once

#include <span>
#include <string_view>

namespace fovea::serve {

struct PageFile {
  std::string_view path;  // "/", "/assets/page-4f1c.js"
  std::string_view content_type;
  std::string_view content, gzip;  // the same, compressed
  std::string_view etag;           // as it is sent
  bool named_by_content = false;   // its path changes when its content does
};

std::span<const PageFile> page_files();

}  // namespace fovea::serve
