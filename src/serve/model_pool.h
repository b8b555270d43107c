// The models that a server offers: loaded when somebody asks for them, put away where their room is needed, never more than the budget.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fovea/options.h"
#include "serve/loaded_model.h"

namespace fovea::serve {

struct PooledModel {
  std::string name;
  int64_t plan_bytes = 0;  // while it is loaded, from before its load to after its end
  bool resident = false;   // is never put away
};

struct ModelPoolOptions {
  int64_t memory_bytes = 0;        // no model's plan is greater
  double keep_alive_seconds = -1;  // idle models are put away after so long; negative: not for that
  int most_waiting = 256;          // requests that wait for a model; more are refused
  int most_per_owner = 64;         // of one key
  // Who waited so long for room has its turn: models in its way begin no more requests, and nobody overtakes it.
  double patience_seconds = 5;
};

struct ModelPoolHooks {
  // On the pool's thread, while other models go on. progress says when nobody waits for it any more. errors: Error, Stopped
  std::function<std::shared_ptr<LoadedModel>(int model, const Progress& progress)> load;
  std::function<void(LoadedModel& model)> put_away;  // likewise, before the model is freed
  std::function<void()> freed;                       // likewise, after it was
  std::function<void(const char* event, int model, double seconds, const std::string& reason)> tell;
};

struct ModelWish {
  using Clock = std::chrono::steady_clock;

  int model = 0;
  int owner = -1;  // number of the key; -1: none is needed
  Clock::time_point deadline = Clock::time_point::max();
  std::optional<double> keep_alive_seconds = {};  // from then on, for this model; none: as it is
};

// A pool has one thread, which loads and puts away, one model at a time.
//
// invariant  plans of models that are loaded, being loaded or being put away are never more than memory_bytes together
// threads    every method may be called from any, except on the pool's own
class ModelPool {
 public:
  using Clock = ModelWish::Clock;
  // Gets the model, or what went wrong (ApiError); on the pool's thread, or that of expire() or drain(). Must not throw.
  using Taker = std::function<void(ModelUse, std::exception_ptr)>;
  using WaitId = uint64_t;

  ModelPool(std::vector<PooledModel> models, const ModelPoolOptions& options, ModelPoolHooks hooks);
  ~ModelPool();  // ends engines; nobody who waits hears of it

  void put(int model, std::shared_ptr<LoadedModel> loaded);  // that was loaded elsewhere; before anybody asks

  ModelUse use_now(const ModelWish& wish);  // null: it has to be waited for
  // errors: ApiError when as many wait as may, or the server drains
  WaitId wait(const ModelWish& wish, Taker taker);
  void cancel(WaitId wait);  // its taker hears nothing more; unknown and past ones are ignored
  void let_go(int model);    // puts it away once it is idle; a resident one stays
  // Without being one of its users for what is said above, but for that it is not freed. Null: it is not loaded
  ModelUse look_at(int model);
  std::vector<ModelUse> loaded();  // likewise

  void expire();  // tells those whose deadline is over
  void drain();   // tells all who wait, ends a load, and begins none

  struct Status {
    const char* state;  // "absent", "loading", "loaded", "leaving"
    int uses = 0, waiting = 0;
    std::optional<double> seconds_left = {};  // until it is put away; none: it stays, or is not loaded
  };
  Status status(int model) const;
  int64_t planned_bytes() const;       // now, of what the invariant counts
  int64_t most_planned_bytes() const;  // ever
  int waiting() const;
  bool leaving() const;  // a model is being put away: its conversations may not be saved yet
  const ModelPoolOptions& options() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // uses that outlive the pool refer to it
};

}  // namespace fovea::serve
