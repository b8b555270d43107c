// What a generation may say next by its grammar.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <vector>

#include "engine/background_thread.h"
#include "fovea/grammar.h"

namespace fovea {

// The mask of the next token is computed on another thread as soon as the one before is known, while the model computes logits.
//
// owner    may go while a mask is being computed; `thread` outlives it
// threads  one at a time
// errors   Error when bounds of work are reached
class TokenConstraint {
 public:
  TokenConstraint(const Grammar& grammar, int vocabulary, BackgroundThread& thread);

  std::span<const uint32_t> allowed();  // as Sampler::next takes it; valid until accept(), which has to come next
  bool accept(int32_t token);           // REQUIRES it to be allowed. false: the text is complete

 private:
  struct State;
  void compute_next();

  std::shared_ptr<State> state_;  // shared with the work under way
  BackgroundThread* thread_;
  std::future<void> computed_;
};

}  // namespace fovea
