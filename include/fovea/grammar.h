// What an answer has to be: JSON by a schema, a text by a regular expression or by a grammar.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "fovea/model.h"

namespace fovea {

struct GrammarSource {
  enum class Kind : uint8_t {
    json_schema,          // what it asks for and cannot have is an error
    lenient_json_schema,  // ... is ignored
    regex,                // of the whole text; Rust's syntax
    lark,                 // a context-free grammar in a variant of Lark's syntax, with the rule `start`
  };
  Kind kind = Kind::json_schema;
  std::string text;

  static GrammarSource any_json_object() { return {Kind::json_schema, R"({"type":"object"})"}; }
};

// A grammar over a model's tokens. Size, memory and steps of compiling and of using it are bounded.
//
// owner    keeps what it needs of the model's text side
// threads  immutable: any number of requests may use it at once
class Grammar {
 public:
  // The first grammar of a model takes about a second more, in which its vocabulary is sorted.
  // errors: Error for a source that cannot be compiled or is too large, with the library's words for it; a model without a tokenizer
  static std::shared_ptr<const Grammar> compile(const Model& model, const GrammarSource& source);
  ~Grammar();

  struct State;  // the engine's side
  const State& state() const { return *state_; }

 private:
  explicit Grammar(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

}  // namespace fovea
