#include "engine/token_constraint.h"

#include "engine/grammar_state.h"

namespace fovea {

struct TokenConstraint::State {
  text::TokenGrammar grammar;
  std::vector<uint32_t> words;
};

TokenConstraint::TokenConstraint(const Grammar& grammar, int vocabulary, BackgroundThread& thread)
    : state_(new State{grammar.state().begin(), std::vector<uint32_t>((static_cast<size_t>(vocabulary) + 31) / 32)}), thread_(&thread) {
  compute_next();
}

void TokenConstraint::compute_next() {
  computed_ = thread_->run([state = state_] { state->grammar.mask(state->words); });
}

std::span<const uint32_t> TokenConstraint::allowed() {
  computed_.get();
  return state_->words;
}

bool TokenConstraint::accept(int32_t token) {
  if (!state_->grammar.accept(token) || state_->grammar.is_complete()) return false;
  compute_next();
  return true;
}

}  // namespace fovea
