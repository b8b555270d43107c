#include "serve/tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "serve/answer_grammar.h"

namespace fovea::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr size_t kMostTools = 128, kLongestName = 64;
constexpr int kMostCalls = 16;  // of an answer that has to consist of calls

bool is_name(const std::string& name) {
  const auto fits = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
  return !name.empty() && name.size() <= kLongestName && std::all_of(name.begin(), name.end(), fits);
}

Tool checked(Tool tool, const Fields& fields) {
  if (!is_name(tool.name)) {
    throw bad_request(
        fmt::format("Invalid '{}': names have 1 to {} letters, digits, '_', '-' and '.'.", fields.full_name("name"), kLongestName),
        fields.full_name("name"), "invalid_value");
  }
  if (!tool.parameters.is_object()) {
    throw bad_request(fmt::format("Invalid schema for function '{}': it has to be an object.", tool.name), fields.full_name("parameters"),
                      "invalid_function_parameters");
  }
  return tool;
}

ordered_json schema_at(Fields& fields, const char* name) {
  const json* schema = fields.find(name);
  return schema ? ordered_json::parse(schema->dump()) : ordered_json::object();
}

void check_type(Fields& fields) {
  const std::string type = fields.text("type").value_or("function");
  if (type == "function") return;
  throw bad_request(fmt::format("Invalid value: '{}'. Supported values are: 'function'.", type.substr(0, 32)), fields.full_name("type"),
                    "invalid_value");
}

Tool openai_tool(Fields& fields) {
  fields.require("name");
  Tool tool{*fields.text("name"), fields.text("description").value_or(""), schema_at(fields, "parameters"),
            fields.boolean("strict").value_or(false)};
  fields.refuse_others();
  return checked(std::move(tool), fields);
}

// {"type": "function", "name": ...}
Tool flat_function_of(const json& value, const std::string& path, Dialect dialect) {
  Fields fields(value, path + ".", dialect);
  check_type(fields);
  return openai_tool(fields);
}

// {"type": "function", "function": {...}}
Tool function_of(const json& value, const std::string& path, Dialect dialect) {
  Fields outside(value, path + ".", dialect);
  check_type(outside);
  Fields fields(outside.require("function"), path + ".function.", dialect);
  if (dialect != Dialect::ollama) {
    outside.refuse_others();
    return openai_tool(fields);
  }
  fields.require("name");
  return checked({*fields.text("name"), fields.text("description").value_or(""), schema_at(fields, "parameters"), false}, fields);
}

std::shared_ptr<ToolSet> set_of(Fields& fields, Dialect dialect, Tool (*read)(const json&, const std::string&, Dialect)) {
  const json* list = fields.find("tools");
  if (!list) return nullptr;
  if (!list->is_array()) fields.wrong_type("tools", dialect == Dialect::anthropic ? "a valid list" : "an array of objects");
  if (list->empty()) return nullptr;
  if (list->size() > kMostTools)
    throw bad_request(fmt::format("Invalid 'tools': at most {} tools are taken.", kMostTools), "tools", "array_above_max_length");
  auto set = std::make_shared<ToolSet>();
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string path = dialect == Dialect::anthropic ? fmt::format("tools.{}", i) : fmt::format("tools[{}]", i);
    set->tools.push_back(read((*list)[i], path, dialect));
  }
  return set;
}

void choose(ToolSet& set, const std::string& name) {
  if (!set.find(name))
    throw bad_request(fmt::format("Tool choice '{}' not found in 'tools' parameter.", name.substr(0, 64)), "tool_choice", "invalid_value");
  set.choice = ToolChoice::named;
  set.named = name;
  set.parallel = false;
}

Tool anthropic_tool(const json& value, const std::string& path, Dialect dialect) {
  Fields fields(value, path + ".", dialect);
  if (const std::string type = fields.text("type").value_or("custom"); type != "custom") {
    throw bad_request(fields.full_name("type") + ": this server runs no tools of its own", fields.full_name("type"));
  }
  fields.require("name");
  fields.require("input_schema");
  Tool tool{*fields.text("name"), fields.text("description").value_or(""), schema_at(fields, "input_schema"),
            fields.boolean("strict").value_or(false)};
  for (const char* harmless : {"cache_control", "input_examples", "eager_input_streaming", "defer_loading", "allowed_callers"})
    fields.ignore(harmless);
  fields.refuse_others();
  return checked(std::move(tool), fields);
}

// Texts that say what is meant and no grammar needs.
void drop_descriptions(ordered_json& schema) {
  if (schema.is_object()) {
    for (const char* name : {"description", "title", "$comment"}) {
      if (schema.contains(name) && schema[name].is_string()) schema.erase(name);
    }
    for (auto& [name, value] : schema.items()) {
      if (name != "const" && name != "enum" && name != "default" && name != "examples") drop_descriptions(value);
    }
  } else if (schema.is_array()) {
    for (ordered_json& value : schema) drop_descriptions(value);
  }
}

// The arguments as templates print them, in one line.
std::string arguments_rule(const Tool& tool) {
  ordered_json schema = tool.parameters;
  drop_descriptions(schema);
  if (!schema.contains("type") && !schema.contains("$ref") && !schema.contains("anyOf")) schema["type"] = "object";
  schema["x-guidance"] = {{"whitespace_flexible", false}, {"item_separator", ", "}, {"key_separator", ": "}, {"lenient", !tool.strict}};
  return "%json " + schema.dump();
}

std::string quoted(const std::string& text) { return json(text).dump(); }

}  // namespace

const Tool* ToolSet::find(std::string_view name) const {
  const auto found = std::find_if(tools.begin(), tools.end(), [&](const Tool& tool) { return tool.name == name; });
  return found == tools.end() ? nullptr : &*found;
}

std::string ToolSet::for_template() const {
  if (choice == ToolChoice::none) return "";
  ordered_json list = ordered_json::array();
  for (const Tool& tool : tools) {
    if (choice == ToolChoice::named && tool.name != named) continue;
    ordered_json function = {{"name", tool.name}, {"description", tool.description}, {"parameters", tool.parameters}};
    if (tool.parameters.empty()) function["parameters"] = {{"type", "object"}, {"properties", ordered_json::object()}};
    list.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return list.dump();
}

std::shared_ptr<const Grammar> ToolSet::grammar(const Model& model) const {
  if (choice != ToolChoice::required && choice != ToolChoice::named) return nullptr;
  const ToolCallForm form = model.tool_call_form();
  std::string any, rules;
  for (size_t i = 0; i < tools.size(); ++i) {
    if (choice == ToolChoice::named && tools[i].name != named) continue;
    any += fmt::format("{}call{}", any.empty() ? "" : " | ", i);
    rules +=
        fmt::format("call{}: {} arguments{} \"}}\"\narguments{}: {}\n", i,
                    quoted(fmt::format("{{\"name\": {}, \"{}\": ", quoted(tools[i].name), form.arguments)), i, i, arguments_rule(tools[i]));
  }
  const char* call = form.tagged ? "tagged: \"<tool_call>\\n\" any \"\\n</tool_call>\"\n" : "tagged: any\n";
  std::string start = "start: tagged\n";
  if (parallel && form.tagged) start = fmt::format("start: tagged (\"\\n\" tagged){{0,{}}}\n", kMostCalls - 1);
  else if (parallel) start = fmt::format("start: tagged | \"[\" tagged (\", \" tagged){{0,{}}} \"]\"\n", kMostCalls - 1);
  return compiled(model, {GrammarSource::Kind::lark, start + call + "any: " + any + "\n" + rules}, "schema for function in 'tools'",
                  "tools");
}

namespace {

std::string chosen_function(const json& choice) {
  Fields named(choice, "tool_choice.");
  named.ignore("type");
  Fields function(named.require("function"), "tool_choice.function.");
  named.refuse_others();
  function.require("name");
  function.refuse_others();
  return *function.text("name");
}

std::string chosen_flat_function(const json& choice) {
  Fields named(choice, "tool_choice.");
  named.ignore("type");
  named.require("name");
  named.refuse_others();
  return *named.text("name");
}

// `set`: of `tools`; chosen: the name in a `tool_choice` that is an object.
std::shared_ptr<const ToolSet> with_openai_choice(Fields& fields, const std::shared_ptr<ToolSet>& set, std::string (*chosen)(const json&)) {
  const json* choice = fields.find("tool_choice");
  const bool parallel = fields.boolean("parallel_tool_calls").value_or(true);
  if (!set) {
    if (choice && *choice != "none" && *choice != "auto") {
      throw bad_request("Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", "tool_choice",
                        "invalid_value");
    }
    return nullptr;
  }
  set->parallel = parallel;
  if (!choice || *choice == "auto") return set;
  if (*choice == "none") set->choice = ToolChoice::none;
  else if (*choice == "required") set->choice = ToolChoice::required;
  else if (choice->is_object() && choice->value("type", json()) == "function") {
    choose(*set, chosen(*choice));
  } else {
    throw bad_request("Invalid value for 'tool_choice': expected 'none', 'auto', 'required' or a function.", "tool_choice",
                      "invalid_value");
  }
  return set;
}

}  // namespace

std::shared_ptr<const ToolSet> openai_tools(Fields& fields) {
  return with_openai_choice(fields, set_of(fields, Dialect::openai, function_of), chosen_function);
}

std::shared_ptr<const ToolSet> responses_tools(Fields& fields) {
  return with_openai_choice(fields, set_of(fields, Dialect::openai, flat_function_of), chosen_flat_function);
}

std::shared_ptr<const ToolSet> ollama_tools(Fields& fields) { return set_of(fields, Dialect::ollama, function_of); }

std::shared_ptr<const ToolSet> anthropic_tools(Fields& fields) {
  const std::shared_ptr<ToolSet> set = set_of(fields, Dialect::anthropic, anthropic_tool);
  const json* given = fields.find("tool_choice");
  if (!given) return set;
  if (!set) throw bad_request("tool_choice: may only be specified while providing tools", "tool_choice");
  Fields choice(*given, "tool_choice.", Dialect::anthropic);
  choice.require("type");
  const std::string type = *choice.text("type");
  set->parallel = !choice.boolean("disable_parallel_tool_use").value_or(false);
  if (type == "any") {
    set->choice = ToolChoice::required;
  } else if (type == "none") {
    set->choice = ToolChoice::none;
  } else if (type == "tool") {
    choice.require("name");
    choose(*set, *choice.text("name"));
  } else if (type != "auto") {
    throw bad_request("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'", "tool_choice");
  }
  choice.refuse_others();
  return set;
}

std::vector<ToolCall> tool_calls_of(const json& list, const std::string& path, Dialect dialect) {
  if (!list.is_array()) throw bad_request(fmt::format("Invalid type for '{}': expected an array of objects.", path), path, "invalid_type");
  std::vector<ToolCall> calls;
  for (size_t i = 0; i < list.size(); ++i) {
    Fields call(list[i], fmt::format("{}[{}].", path, i), dialect);
    Fields function(call.require("function"), fmt::format("{}[{}].function.", path, i), dialect);
    function.require("name");
    const json& arguments = function.require("arguments");
    const bool fits = dialect == Dialect::ollama ? arguments.is_object() : arguments.is_string();
    if (!fits) function.wrong_type("arguments", dialect == Dialect::ollama ? "an object" : "a string");
    calls.push_back(
        {call.text("id").value_or(""), *function.text("name"), arguments.is_string() ? arguments.get<std::string>() : arguments.dump()});
  }
  return calls;
}

}  // namespace fovea::serve
