// Writing to stdout and stderr, noticing when it fails.
#pragma once

#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "fovea/error.h"

namespace fovea::cli {

// The reader of our stdout has gone ("fovea run ... | head").
class OutputClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "output closed"; }
};

// errors: OutputClosed; Error when stdout cannot be written (a full disk)
void write_output(std::string_view text);
void flush_output();

void write_error(std::string_view text);  // to stderr; failure is nobody's business

// "fovea: what", "  where: ...", "  mend: ...", each on a line of its own; empty parts are left out.
std::string error_text(const Error& error);

// The one JSON object of --json, on a line. Keys keep the order in which they were set.
void write_json(const nlohmann::ordered_json& object);
std::string json_line(const nlohmann::ordered_json& object);

}  // namespace fovea::cli
