#include "serve/answer_grammar.h"

#include <fmt/format.h>

#include "fovea/error.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using Kind = GrammarSource::Kind;

constexpr size_t kMostChoices = 1024;

GrammarSource schema(const json& object, bool strict) { return {strict ? Kind::json_schema : Kind::lenient_json_schema, object.dump()}; }

// A JSON text that is one of these strings, without quotes.
GrammarSource one_of(const json& choices, Fields& fields) {
  if (!choices.is_array() || choices.empty() || choices.size() > kMostChoices) fields.wrong_type("choice", "an array of 1 to 1024 strings");
  std::string rule = "start: ";
  for (const json& choice : choices) {
    if (!choice.is_string() || choice.get_ref<const std::string&>().empty()) fields.wrong_type("choice", "an array of 1 to 1024 strings");
    if (rule.size() > 7) rule += " | ";
    rule += choice.dump();
  }
  return {Kind::lark, rule};
}

// The parts of a schema with a name; `param` is the field that holds it.
std::shared_ptr<const Grammar> of_named_schema(Fields& fields, const std::string& param, const Model& model) {
  fields.require("name");
  const std::string name = fields.text("name")->substr(0, 64);
  const bool strict = fields.boolean("strict").value_or(false);
  fields.text("description");
  const json* given = fields.find("schema");
  fields.refuse_others();
  const GrammarSource source = given ? schema(*given, strict) : GrammarSource::any_json_object();
  return compiled(model, source, fmt::format("schema for {} '{}'", param, name), param);
}

// param: "response_format" or, where the schema's parts stand beside the type, "text.format".
std::shared_ptr<const Grammar> of_format(const json& format, const std::string& param, const Model& model) {
  Fields fields(format, param + ".");
  fields.require("type");
  const std::string type = *fields.text("type");
  if (type != "json_schema") {
    fields.refuse_others();
    if (type == "text") return nullptr;
    if (type == "json_object") return compiled(model, GrammarSource::any_json_object(), param, param);
    throw bad_request(
        fmt::format("Invalid value: '{}'. Supported values are: 'json_object', 'json_schema', and 'text'.", type.substr(0, 32)),
        param + ".type", "invalid_value");
  }
  if (param == "text.format") return of_named_schema(fields, param, model);
  Fields inside(fields.require("json_schema"), param + ".json_schema.");
  fields.refuse_others();
  return of_named_schema(inside, param, model);
}

std::shared_ptr<const Grammar> of_structured_outputs(const json& wanted, const Model& model) {
  Fields fields(wanted, "structured_outputs.");
  std::vector<std::pair<const char*, GrammarSource>> sources;
  if (const json* value = fields.find("json")) {
    sources.emplace_back("json", value->is_string() ? GrammarSource{Kind::json_schema, value->get<std::string>()} : schema(*value, true));
  }
  if (fields.boolean("json_object").value_or(false)) sources.emplace_back("json_object", GrammarSource::any_json_object());
  if (const auto regex = fields.text("regex")) sources.emplace_back("regex", GrammarSource{Kind::regex, *regex});
  if (const json* choices = fields.find("choice")) sources.emplace_back("choice", one_of(*choices, fields));
  if (const auto grammar = fields.text("grammar")) sources.emplace_back("grammar", GrammarSource{Kind::lark, *grammar});
  fields.refuse_others();
  if (sources.size() != 1) {
    throw bad_request("'structured_outputs' takes one of 'json', 'json_object', 'regex', 'choice' and 'grammar'.", "structured_outputs",
                      "invalid_value");
  }
  const auto& [name, source] = sources.front();
  return compiled(model, source, fmt::format("'structured_outputs.{}'", name), fields.full_name(name));
}

}  // namespace

std::shared_ptr<const Grammar> compiled(const Model& model, const GrammarSource& source, const std::string& what,
                                        const std::string& param) {
  try {
    return Grammar::compile(model, source);
  } catch (const Error& error) {
    throw bad_request(fmt::format("Invalid {}: {}", what, error.problem()), param);
  }
}

namespace {

std::shared_ptr<const Grammar> or_structured_outputs(std::shared_ptr<const Grammar> grammar, const char* param, Fields& fields,
                                                     const Model& model) {
  const json* wanted = fields.find("structured_outputs");
  if (!wanted) return grammar;
  if (grammar)
    throw bad_request(fmt::format("Only one of '{}' and 'structured_outputs' can be given.", param), "structured_outputs", "invalid_value");
  return of_structured_outputs(*wanted, model);
}

}  // namespace

std::shared_ptr<const Grammar> openai_grammar(Fields& fields, const Model& model) {
  const json* format = fields.find("response_format");
  return or_structured_outputs(format ? of_format(*format, "response_format", model) : nullptr, "response_format", fields, model);
}

std::shared_ptr<const Grammar> responses_grammar(Fields& fields, const Model& model) {
  const json* text = fields.find("text");
  if (!text) return or_structured_outputs(nullptr, "text.format", fields, model);
  Fields inside(*text, "text.");
  const json* format = inside.find("format");
  inside.ignore("verbosity");
  inside.refuse_others();
  return or_structured_outputs(format ? of_format(*format, "text.format", model) : nullptr, "text.format", fields, model);
}

std::shared_ptr<const Grammar> ollama_grammar(Fields& fields, const Model& model) {
  const json* format = fields.find("format");
  if (!format || *format == "") return nullptr;
  if (*format == "json") return compiled(model, GrammarSource::any_json_object(), "format", "format");
  if (!format->is_object()) throw bad_request("invalid format: expected \"json\" or a JSON schema");
  return compiled(model, schema(*format, false), "JSON schema in format", "format");
}

}  // namespace fovea::serve
