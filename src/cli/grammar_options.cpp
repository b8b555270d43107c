#include "cli/grammar_options.h"

#include "cli/text_input.h"
#include "fovea/error.h"

namespace fovea::cli {

void GrammarArguments::add(CLI::App& command) {
  CLI::Option* schema = command.add_option("--json-schema", schema_file, "the answer is JSON by this schema")->type_name("FILE");
  CLI::Option* pattern = command.add_option("--regex", regex, "the answer matches this regular expression, as a whole")->type_name("R");
  CLI::Option* lark = command.add_option("--grammar", lark_file, "the answer matches this grammar (Lark)")->type_name("FILE");
  for (CLI::Option* option : {schema, pattern, lark}) option->group("Form of the answer");
  schema->excludes(pattern)->excludes(lark);
  pattern->excludes(lark);
}

std::shared_ptr<const Grammar> GrammarArguments::compiled(const Model& model) const {
  using Kind = GrammarSource::Kind;
  if (!schema_file && !regex && !lark_file) return nullptr;
  const GrammarSource source = regex         ? GrammarSource{Kind::regex, *regex}
                               : schema_file ? GrammarSource{Kind::json_schema, read_text_file(*schema_file)}
                                             : GrammarSource{Kind::lark, read_text_file(*lark_file)};
  const std::string where = regex ? "--regex" : schema_file ? *schema_file : *lark_file;
  try {
    return Grammar::compile(model, source);
  } catch (const Error& error) {
    throw Error(error.problem(), where, error.mend());
  }
}

}  // namespace fovea::cli
