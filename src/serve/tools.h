// Tools that a request offers, in any API's words, and the grammar of their calls.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/grammar.h"
#include "serve/json_fields.h"

namespace fovea::serve {

struct Tool {
  std::string name, description;
  nlohmann::ordered_json parameters;  // a schema; an empty object: none
  bool strict = false;                // what the schema asks for and cannot have is an error
};

enum class ToolChoice { none, automatic, required, named };

struct ToolSet {
  std::vector<Tool> tools;
  ToolChoice choice = ToolChoice::automatic;
  std::string named;     // the only tool that may be called
  bool parallel = true;  // more than one call in an answer

  const Tool* find(std::string_view name) const;
  // In OpenAI's form, which templates take; empty: the model is not to know of them.
  std::string for_template() const;
  // null: any text. errors: ApiError for schemas that cannot be compiled
  std::shared_ptr<const Grammar> grammar(const Model& model) const;
};

// `tools`, `tool_choice`, `parallel_tool_calls`; null: none are offered. errors: ApiError in the API's words
std::shared_ptr<const ToolSet> openai_tools(Fields& fields);
std::shared_ptr<const ToolSet> responses_tools(Fields& fields);  // of /v1/responses, where a function has no object of its own
std::shared_ptr<const ToolSet> ollama_tools(Fields& fields);
std::shared_ptr<const ToolSet> anthropic_tools(Fields& fields);

// Of a message of the assistant, in OpenAI's form, whose arguments are a text, and Ollama's, where they are an object.
std::vector<ToolCall> tool_calls_of(const nlohmann::json& list, const std::string& path, Dialect dialect);

}  // namespace fovea::serve
