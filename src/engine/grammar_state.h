// What a compiled Grammar holds.
#pragma once

#include <mutex>

#include "fovea/grammar.h"
#include "text/token_grammar.h"

namespace fovea {

struct Grammar::State {
  State(const Model::State* of_model, text::TokenGrammar compiled) : model(of_model), beginning(std::move(compiled)) {}

  text::TokenGrammar begin() const {  // a text that has not begun
    const std::lock_guard lock(mutex);
    return beginning;
  }

  const Model::State* model;

 private:
  mutable std::mutex mutex;  // the library copies by one thread at a time
  text::TokenGrammar beginning;
};

}  // namespace fovea
