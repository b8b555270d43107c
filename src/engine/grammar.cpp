#include "fovea/grammar.h"

#include "engine/grammar_state.h"
#include "engine/model_state.h"
#include "fovea/error.h"

namespace fovea {
namespace {

text::GrammarKind kind_of(GrammarSource::Kind kind) {
  switch (kind) {
    case GrammarSource::Kind::json_schema:
      return text::GrammarKind::json_schema;
    case GrammarSource::Kind::lenient_json_schema:
      return text::GrammarKind::lenient_json_schema;
    case GrammarSource::Kind::regex:
      return text::GrammarKind::regex;
    default:
      return text::GrammarKind::lark;
  }
}

const text::GrammarVocabulary& vocabulary_of(const Model::State& model) {
  if (!model.tokenizer)
    throw Error("has no tokenizer, which grammars need", model.facts.path, "put tokenizer.json or tokenizer.model beside the weights");
  std::call_once(model.grammar_vocabulary_made,
                 [&] { model.grammar_vocabulary = std::make_unique<const text::GrammarVocabulary>(*model.tokenizer); });
  return *model.grammar_vocabulary;
}

}  // namespace

Grammar::Grammar(std::unique_ptr<const State> state) : state_(std::move(state)) {}
Grammar::~Grammar() = default;

std::shared_ptr<const Grammar> Grammar::compile(const Model& model, const GrammarSource& source) {
  const Model::State& side = model.state();
  text::TokenGrammar compiled(vocabulary_of(side), kind_of(source.kind), source.text);
  return std::shared_ptr<const Grammar>(new Grammar(std::make_unique<const State>(&side, std::move(compiled))));
}

}  // namespace fovea
