#include "cli/interrupt.h"

#include <csignal>

namespace fovea::cli {
namespace {

volatile std::sig_atomic_t g_signal = 0;  // a handler can reach nothing but a global

void remember(int signal) { g_signal = signal; }

void listen() {
  struct sigaction action = {};
  action.sa_handler = remember;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESETHAND;  // the second one kills; and reads are interrupted, not restarted
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() { forget_interrupt(); }

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool interrupted() { return g_signal != 0; }
int interrupt_signal() { return g_signal; }

void forget_interrupt() {
  g_signal = 0;
  listen();
}

}  // namespace fovea::cli
