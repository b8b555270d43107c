// What a request wants its answer to be -> a grammar.
#pragma once

#include <memory>

#include "fovea/grammar.h"
#include "serve/json_fields.h"

namespace fovea::serve {

// OpenAI's `response_format`, and vLLM's `structured_outputs` (json, json_object, regex, choice, grammar); null: any text.
// errors: ApiError, as OpenAI words it
std::shared_ptr<const Grammar> openai_grammar(Fields& fields, const Model& model);
// `text.format` of /v1/responses, and `structured_outputs`. errors: likewise
std::shared_ptr<const Grammar> responses_grammar(Fields& fields, const Model& model);
// Ollama's `format`: "json" or a schema. errors: ApiError
std::shared_ptr<const Grammar> ollama_grammar(Fields& fields, const Model& model);

// `what` names the source in the error: "schema for response_format 'x'", of field `param`.
std::shared_ptr<const Grammar> compiled(const Model& model, const GrammarSource& source, const std::string& what, const std::string& param);

}  // namespace fovea::serve
