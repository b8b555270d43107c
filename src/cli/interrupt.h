// Ctrl-C (and SIGTERM): the first asks the work to stop after the current step, the second kills.
#pragma once

namespace fovea::cli {

// Listens while it lives; one at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

bool interrupted();
int interrupt_signal();   // number of the signal; 0: none came
void forget_interrupt();  // the request was honoured; listen for the next

}  // namespace fovea::cli
