// --json-schema, --regex, --grammar.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "fovea/grammar.h"

namespace fovea::cli {

struct GrammarArguments {
  std::optional<std::string> schema_file, regex, lark_file;  // one at most

  void add(CLI::App& command);
  // null: any text. errors: Error for a file that cannot be read, or a grammar that cannot be compiled
  std::shared_ptr<const Grammar> compiled(const Model& model) const;
};

}  // namespace fovea::cli
