// What a loaded Model holds.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "fovea/model.h"
#include "fovea/plan.h"
#include "kernels/kernel_set.h"
#include "model/spec.h"
#include "model/weights.h"
#include "text/chat_template.h"
#include "text/token_grammar.h"
#include "text/tokenizer.h"

namespace fovea {

struct Model::State {
  ModelFacts facts;
  std::optional<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
  model::ModelSpec spec;
  model::Weights weights;
  std::optional<Planner> planner;
  const kernels::KernelSet* kernels = nullptr;  // null: text only

  // Made for the first grammar.
  mutable std::once_flag grammar_vocabulary_made;
  mutable std::unique_ptr<const text::GrammarVocabulary> grammar_vocabulary;
};

}  // namespace fovea
