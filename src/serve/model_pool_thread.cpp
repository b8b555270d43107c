#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "fovea/error.h"
#include "serve/api_error.h"
#include "serve/model_pool_state.h"

namespace fovea::serve {
namespace {

using Clock = ModelPool::Clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

// The next step to a model's load, if there is one now. Models leave together or not at all: those that were not used for longest, idle
// ones first.
std::optional<Task> ModelPool::State::towards(size_t index, bool late) {
  const int64_t needed = slots[index].model.plan_bytes;
  int64_t room = options.memory_bytes - planned;
  if (needed <= room) return Task{Task::Kind::load, index, ""};
  std::vector<size_t> leaving;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].may_leave()) leaving.push_back(i);
  }
  std::sort(leaving.begin(), leaving.end(), [&](size_t a, size_t b) {
    return std::pair(slots[a].uses > 0, slots[a].last_used) < std::pair(slots[b].uses > 0, slots[b].last_used);
  });
  size_t count = 0;
  for (; count < leaving.size() && room < needed; ++count) room += slots[leaving[count]].model.plan_bytes;
  leaving.resize(count);
  if (room < needed || leaving.empty()) return std::nullopt;
  const bool all_idle = std::all_of(leaving.begin(), leaving.end(), [&](size_t i) { return slots[i].uses == 0; });
  for (const size_t i : leaving) slots[i].closing = all_idle || late;  // nobody slips in before they leave
  return all_idle ? std::optional(Task{Task::Kind::put_away, leaving.front(), "room"}) : std::nullopt;
}

std::optional<Task> ModelPool::State::next_task() {
  const auto now = Clock::now();
  for (Slot& slot : slots) slot.closing = false;
  for (size_t i = 0; i < slots.size(); ++i) {
    const Slot& slot = slots[i];
    if (slot.may_leave() && slot.uses == 0 && slot.expires && *slot.expires <= now && waiting_for(i) == 0)
      return Task{Task::Kind::put_away, i, "idle"};
  }
  if (draining) return std::nullopt;
  for (const Waiter& waiter : waiters) {
    const auto index = static_cast<size_t>(waiter.wish.model);
    if (slots[index].place != Place::absent) continue;
    const bool late = now - waiter.since >= of_seconds(options.patience_seconds);
    if (const std::optional<Task> task = towards(index, late)) return task;
    if (late) return std::nullopt;
  }
  return std::nullopt;
}

// When there may be something to do although nobody says so.
std::optional<Clock::time_point> ModelPool::State::next_moment() const {
  std::optional<Clock::time_point> first;
  const auto at = [&](Clock::time_point time) { first = first ? std::min(*first, time) : time; };
  for (const Slot& slot : slots) {
    if (slot.may_leave() && slot.uses == 0 && slot.expires) at(*slot.expires);
  }
  const auto now = Clock::now();
  for (const Waiter& waiter : waiters) {
    if (const auto time = waiter.since + of_seconds(options.patience_seconds); time > now) at(time);
  }
  return first;
}

// Who waits for what has just been loaded has it before anybody may want its room.
void ModelPool::State::run() {
  std::unique_lock lock(mutex);
  while (!ending) {
    std::vector<News> news = granted();
    const std::optional<Task> task = news.empty() ? next_task() : std::nullopt;
    if (news.empty()) news = granted();  // whom nobody holds up any more
    if (!news.empty()) {
      lock.unlock();
      tell(std::move(news));
      lock.lock();
    } else if (task) {
      perform(*task, lock);
    } else if (const auto moment = next_moment()) {
      wake.wait_until(lock, *moment);
    } else {
      wake.wait(lock);
    }
  }
}

void ModelPool::State::perform(const Task& task, std::unique_lock<std::mutex>& lock) {
  if (task.kind == Task::Kind::load) load(task.slot, lock);
  else put_away(task, lock);
}

void ModelPool::State::load(size_t index, std::unique_lock<std::mutex>& lock) {
  const int number = static_cast<int>(index);
  slots[index].place = Place::loading;
  note_planned(slots[index].model.plan_bytes);
  lock.unlock();
  const auto since = Clock::now();
  const Progress still_wanted = [this, index](std::string_view, int64_t, int64_t) {
    const std::lock_guard guard(mutex);
    return !draining && !ending && waiting_for(index) > 0;
  };
  std::shared_ptr<LoadedModel> loaded;
  std::exception_ptr failure;
  std::string why;
  try {
    hooks.tell("loading", number, 0, "");
    loaded = hooks.load(number, still_wanted);
  } catch (const Stopped&) {
    why = "nobody waits for it any more";
  } catch (const Error& error) {  // without the place, which is a file of the server's
    failure = std::make_exception_ptr(
        ApiError(500, "server_error", fmt::format("The model '{}' could not be loaded: {}.", slots[index].model.name, error.problem()),
                 "model", "model_not_loaded"));
    why = error.what();
  } catch (const std::exception& error) {
    failure = std::make_exception_ptr(ApiError(503, "server_error",
                                               fmt::format("The server had no memory to load the model '{}'.", slots[index].model.name),
                                               "model", "model_not_loaded"));
    why = error.what();
  }
  if (!loaded) hooks.freed();
  hooks.tell(loaded ? "loaded" : "not_loaded", number, seconds_since(since), why);
  lock.lock();
  Slot& slot = slots[index];
  slot.place = loaded ? Place::loaded : Place::absent;
  slot.loaded = std::move(loaded);
  slot.keep_alive_seconds = options.keep_alive_seconds;
  expires_after_keep_alive(slot);
  if (slot.place == Place::loaded) return;
  note_planned(-slot.model.plan_bytes);
  if (!failure) return;
  std::vector<News> news =
      refused([&](const Waiter& waiter) { return waiter.wish.model == number; }, [&](const Waiter&) { return failure; });
  lock.unlock();
  tell(std::move(news));
  lock.lock();
}

void ModelPool::State::put_away(const Task& task, std::unique_lock<std::mutex>& lock) {
  Slot& slot = slots[task.slot];
  slot.place = Place::leaving;
  std::shared_ptr<LoadedModel> leaving = std::move(slot.loaded);
  lock.unlock();
  const auto since = Clock::now();
  try {
    hooks.put_away(*leaving);
  } catch (const std::exception& error) {
    hooks.tell("not_saved", static_cast<int>(task.slot), seconds_since(since), error.what());
  }
  leaving.reset();
  hooks.freed();
  hooks.tell("put_away", static_cast<int>(task.slot), seconds_since(since), task.reason);
  lock.lock();
  slot.place = Place::absent;
  slot.expires.reset();
  note_planned(-slot.model.plan_bytes);
}

}  // namespace fovea::serve
