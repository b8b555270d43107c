#include "cli/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "cli/terminal.h"

namespace fovea::cli {
namespace {

[[noreturn]] void output_failed(int cause) {
  if (cause == EPIPE) throw OutputClosed();
  throw Error(std::string("cannot write: ") + std::strerror(cause), "standard output",
              "make room where the output goes, or send it elsewhere");
}

}  // namespace

void write_output(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) output_failed(errno);
}

void flush_output() {
  errno = 0;
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) output_failed(errno);
}

void write_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

std::string error_text(const Error& error) {
  std::string text = "fovea: " + error.problem() + "\n";
  if (!error.where().empty()) text += "  where: " + error.where() + "\n";
  if (!error.mend().empty()) text += "  mend: " + error.mend() + "\n";
  return without_controls(text);
}

std::string json_line(const nlohmann::ordered_json& object) {
  // Names out of files may be any bytes; what is not UTF-8 becomes U+FFFD instead of an exception.
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void write_json(const nlohmann::ordered_json& object) {
  write_output(json_line(object));
  flush_output();
}

}  // namespace fovea::cli
