// An engine on a thread of its own: many callers, one step after the other.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "fovea/engine.h"
#include "fovea/error.h"

namespace fovea {

struct AsyncEngineOptions {
  int most_waiting = 256;  // requests beyond EngineOptions::sequences; more are refused
};

// Nothing is wrong with the request: it may be sent again later.
class QueueFull : public Error {
 public:
  using Error::Error;
};

// owner    owns the engine and the thread that steps it
// threads  every method may be called from any thread
class AsyncEngine {
 public:
  // Gets the events of one request, in order, on the engine's thread: steps wait for it. The last one has `finished` set.
  // May call submit and cancel. Must not throw.
  using Sink = std::function<void(const Event&)>;
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;

  AsyncEngine(std::shared_ptr<const Model> model, const EngineOptions& options, const AsyncEngineOptions& async = {});
  ~AsyncEngine();  // cancels what is left: every sink hears of it

  // deadline: when it passes, the request ends as FinishReason::expired, whether it has begun or not.
  // errors: Error when the request can never run; QueueFull
  RequestId submit(Request request, Sink sink, Deadline deadline = std::nullopt);
  // Before the next step; the sink hears FinishReason::cancelled. Unknown ids, and those that are over, are ignored.
  void cancel(RequestId request);
  // Called on the engine's thread, soon, while no step runs; not at all if the engine is destroyed before. What it
  // throws is lost.
  void between_steps(std::function<void(Engine&)> visit);

  int active() const;                    // requests that were submitted and are not over
  const EngineOptions& options() const;  // as resolved

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea
