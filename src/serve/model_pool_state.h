// What a model pool knows, behind its lock, and what its thread does.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "serve/model_pool.h"

namespace fovea::serve {

enum class Place { absent, loading, loaded, leaving };

struct Slot {
  PooledModel model;
  Place place = Place::absent;
  std::shared_ptr<LoadedModel> loaded = {};
  int uses = 0;
  bool closing = false;  // begins no more requests, since somebody has waited too long for its room
  double keep_alive_seconds = -1;
  ModelPool::Clock::time_point last_used = {};
  std::optional<ModelPool::Clock::time_point> expires = {};  // while it is idle

  bool may_leave() const { return place == Place::loaded && !model.resident; }
};

struct Waiter {
  ModelPool::WaitId id;
  ModelWish wish;
  ModelPool::Taker taker;
  ModelPool::Clock::time_point since;
};

struct Task {
  enum class Kind { load, put_away } kind;
  size_t slot;
  const char* reason;
};

// What takers are told when the lock is open again.
struct News {
  ModelPool::Taker taker;
  ModelUse use;
  std::exception_ptr error;
};

void tell(std::vector<News> all);

inline ModelPool::Clock::duration of_seconds(double seconds) {
  return std::chrono::duration_cast<ModelPool::Clock::duration>(std::chrono::duration<double>(std::min(seconds, 1e9)));
}

struct ModelPool::State : std::enable_shared_from_this<ModelPool::State> {
  State(std::vector<PooledModel> models, const ModelPoolOptions& the_options, ModelPoolHooks the_hooks)
      : options(the_options), hooks(std::move(the_hooks)) {
    for (PooledModel& model : models)
      slots.push_back({std::move(model), Place::absent, {}, 0, false, the_options.keep_alive_seconds, {}, {}});
  }

  void run();
  std::optional<Task> next_task();
  std::optional<Task> towards(size_t slot, bool late);
  std::optional<Clock::time_point> next_moment() const;
  void perform(const Task& task, std::unique_lock<std::mutex>& lock);
  void load(size_t index, std::unique_lock<std::mutex>& lock);
  void put_away(const Task& task, std::unique_lock<std::mutex>& lock);
  void expires_after_keep_alive(Slot& slot) const;
  std::vector<News> granted();
  std::vector<News> refused(const std::function<bool(const Waiter&)>& whom, const std::function<std::exception_ptr(const Waiter&)>& why);
  ModelUse begin_use(size_t index, const ModelWish& wish);
  ModelUse handle(size_t index, bool counts);
  void release(size_t index, bool counts);
  void note_planned(int64_t change);
  int waiting_for(size_t index) const;
  std::string what_is_in_the_way(size_t index) const;

  const ModelPoolOptions options;
  const ModelPoolHooks hooks;
  mutable std::mutex mutex;  // of everything below
  std::condition_variable wake;
  std::vector<Slot> slots;
  std::deque<Waiter> waiters;
  WaitId next_id = 1;
  int64_t planned = 0, most_planned = 0;
  bool draining = false, ending = false;
  std::thread thread;
};

}  // namespace fovea::serve
