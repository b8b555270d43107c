#include "serve/model_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "fovea/plan.h"
#include "serve/api_error.h"
#include "serve/model_pool_state.h"

namespace fovea::serve {

using Clock = ModelPool::Clock;

void tell(std::vector<News> all) {
  for (News& news : all) news.taker(std::move(news.use), std::move(news.error));
}

// As of now.
void ModelPool::State::expires_after_keep_alive(Slot& slot) const {
  slot.last_used = Clock::now();
  slot.expires.reset();
  if (slot.keep_alive_seconds >= 0) slot.expires = slot.last_used + of_seconds(slot.keep_alive_seconds);
}

void ModelPool::State::note_planned(int64_t change) {
  planned += change;
  most_planned = std::max(most_planned, planned);
}

int ModelPool::State::waiting_for(size_t index) const {
  return static_cast<int>(
      std::count_if(waiters.begin(), waiters.end(), [&](const Waiter& w) { return static_cast<size_t>(w.wish.model) == index; }));
}

// counts: as use, for the time until it is put away.
ModelUse ModelPool::State::handle(size_t index, bool counts) {
  ++slots[index].uses;
  const auto let_go = [state = shared_from_this(), index, counts, kept = slots[index].loaded](const LoadedModel*) mutable {
    kept.reset();  // first: while the pool is there, it is the pool's thread that frees
    state->release(index, counts);
  };
  return {slots[index].loaded.get(), let_go};
}

ModelUse ModelPool::State::begin_use(size_t index, const ModelWish& wish) {
  if (wish.keep_alive_seconds) slots[index].keep_alive_seconds = *wish.keep_alive_seconds;
  return handle(index, true);
}

void ModelPool::State::release(size_t index, bool counts) {
  {
    const std::lock_guard lock(mutex);
    Slot& slot = slots[index];
    --slot.uses;
    if (counts) {
      expires_after_keep_alive(slot);
    }
  }
  wake.notify_one();
}

// Who waits for a model that is there, in order of arrival.
std::vector<News> ModelPool::State::granted() {
  std::vector<News> news;
  std::erase_if(waiters, [&](Waiter& waiter) {
    const auto index = static_cast<size_t>(waiter.wish.model);
    if (slots[index].place != Place::loaded || slots[index].closing) return false;
    news.push_back({std::move(waiter.taker), begin_use(index, waiter.wish), nullptr});
    return true;
  });
  return news;
}

std::vector<News> ModelPool::State::refused(const std::function<bool(const Waiter&)>& whom,
                                            const std::function<std::exception_ptr(const Waiter&)>& why) {
  std::vector<News> news;
  std::erase_if(waiters, [&](Waiter& waiter) {
    if (!whom(waiter)) return false;
    const std::exception_ptr error = why(waiter);
    news.push_back({std::move(waiter.taker), nullptr, error});
    return true;
  });
  return news;
}

std::string ModelPool::State::what_is_in_the_way(size_t index) const {
  if (slots[index].place == Place::loading) return "is being loaded";
  std::string busy;
  for (const Slot& slot : slots) {
    if (slot.place == Place::absent) continue;
    busy +=
        fmt::format("{}{} ({}, {} under way)", busy.empty() ? "" : ", ", slot.model.name, memory_text(slot.model.plan_bytes), slot.uses);
  }
  return fmt::format("takes {} of the {} for models, where {} {}", memory_text(slots[index].model.plan_bytes),
                     memory_text(options.memory_bytes), busy.empty() ? "nothing" : busy, "is loaded");
}

ModelPool::ModelPool(std::vector<PooledModel> models, const ModelPoolOptions& options, ModelPoolHooks hooks)
    : state_(std::make_shared<State>(std::move(models), options, std::move(hooks))) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

ModelPool::~ModelPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->wake.notify_one();
  state_->thread.join();
  std::vector<std::shared_ptr<LoadedModel>> loaded;
  std::deque<Waiter> waiters;
  {
    const std::lock_guard lock(state_->mutex);
    waiters.swap(state_->waiters);
    for (Slot& slot : state_->slots) {
      if (slot.loaded) loaded.push_back(std::move(slot.loaded));
    }
  }
  for (const std::shared_ptr<LoadedModel>& model : loaded) model->engine.reset();  // the rest when nobody holds it any more
}

void ModelPool::put(int model, std::shared_ptr<LoadedModel> loaded) {
  const std::lock_guard lock(state_->mutex);
  Slot& slot = state_->slots[static_cast<size_t>(model)];
  slot.place = Place::loaded;
  slot.loaded = std::move(loaded);
  state_->expires_after_keep_alive(slot);
  state_->note_planned(slot.model.plan_bytes);
  state_->wake.notify_one();
}

ModelUse ModelPool::use_now(const ModelWish& wish) {
  const std::lock_guard lock(state_->mutex);
  const Slot& slot = state_->slots[static_cast<size_t>(wish.model)];
  if (slot.place != Place::loaded || slot.closing) return nullptr;
  return state_->begin_use(static_cast<size_t>(wish.model), wish);
}

ModelPool::WaitId ModelPool::wait(const ModelWish& wish, Taker taker) {
  State& s = *state_;
  WaitId id = 0;
  {
    const std::lock_guard lock(s.mutex);
    if (s.draining) throw ApiError(503, "server_error", "the server is shutting down", "", "shutting_down");
    const std::string& name = s.slots[static_cast<size_t>(wish.model)].model.name;
    if (static_cast<int>(s.waiters.size()) >= s.options.most_waiting) {
      throw ApiError(503, "server_error",
                     fmt::format("The model '{}' {}, and {} requests wait for models, which is as many as may.", name,
                                 s.what_is_in_the_way(static_cast<size_t>(wish.model)), s.waiters.size()),
                     "", "overloaded");
    }
    const auto same = std::count_if(s.waiters.begin(), s.waiters.end(), [&](const Waiter& w) { return w.wish.owner == wish.owner; });
    if (wish.owner >= 0 && same >= s.options.most_per_owner) {
      throw ApiError(429, "rate_limit_error", fmt::format("{} requests of this key wait for models; it may have no more.", same), "",
                     "rate_limit_exceeded");
    }
    id = s.next_id++;
    s.waiters.push_back({id, wish, std::move(taker), Clock::now()});
  }
  s.wake.notify_one();
  return id;
}

void ModelPool::cancel(WaitId wait) {
  std::vector<News> dropped;  // freed with the lock open
  {
    const std::lock_guard lock(state_->mutex);
    dropped = state_->refused([&](const Waiter& waiter) { return waiter.id == wait; }, [](const Waiter&) { return nullptr; });
  }
  if (!dropped.empty()) state_->wake.notify_one();
}

void ModelPool::let_go(int model) {
  {
    const std::lock_guard lock(state_->mutex);
    Slot& slot = state_->slots[static_cast<size_t>(model)];
    slot.keep_alive_seconds = 0;
    slot.expires = Clock::now();
  }
  state_->wake.notify_one();
}

ModelUse ModelPool::look_at(int model) {
  const std::lock_guard lock(state_->mutex);
  const auto index = static_cast<size_t>(model);
  return state_->slots[index].place == Place::loaded ? state_->handle(index, false) : nullptr;
}

std::vector<ModelUse> ModelPool::loaded() {
  std::vector<ModelUse> all;
  all.reserve(state_->slots.size());
  const std::lock_guard lock(state_->mutex);
  for (size_t i = 0; i < state_->slots.size(); ++i) {
    if (state_->slots[i].place == Place::loaded) all.push_back(state_->handle(i, false));
  }
  return all;
}

void ModelPool::expire() {
  State& s = *state_;
  const auto now = Clock::now();
  std::vector<News> news;
  {
    const std::lock_guard lock(s.mutex);
    news = s.refused(
        [&](const Waiter& waiter) { return waiter.wish.deadline <= now; },
        [&](const Waiter& waiter) {
          const auto index = static_cast<size_t>(waiter.wish.model);
          return std::make_exception_ptr(ApiError(503, "server_error",
                                                  fmt::format("The model '{}' was not loaded in the time the request may take: it {}.",
                                                              s.slots[index].model.name, s.what_is_in_the_way(index)),
                                                  "", "timeout"));
        });
  }
  if (news.empty()) return;
  s.wake.notify_one();
  tell(std::move(news));
}

void ModelPool::drain() {
  std::vector<News> news;
  {
    const std::lock_guard lock(state_->mutex);
    state_->draining = true;
    news =
        state_->refused([](const Waiter&) { return true; },
                        [](const Waiter&) {
                          return std::make_exception_ptr(ApiError(503, "server_error", "the server is shutting down", "", "shutting_down"));
                        });
  }
  state_->wake.notify_one();
  tell(std::move(news));
}

ModelPool::Status ModelPool::status(int model) const {
  const std::lock_guard lock(state_->mutex);
  const auto index = static_cast<size_t>(model);
  const Slot& slot = state_->slots[index];
  constexpr const char* kNames[] = {"absent", "loading", "loaded", "leaving"};
  Status status{kNames[static_cast<size_t>(slot.place)], slot.uses, state_->waiting_for(index), {}};
  if (!slot.may_leave()) return status;
  if (slot.uses > 0 && slot.keep_alive_seconds >= 0) status.seconds_left = slot.keep_alive_seconds;
  else if (slot.expires) status.seconds_left = std::chrono::duration<double>(*slot.expires - Clock::now()).count();
  return status;
}

int64_t ModelPool::planned_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->planned;
}

int64_t ModelPool::most_planned_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->most_planned;
}

int ModelPool::waiting() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int>(state_->waiters.size());
}

bool ModelPool::leaving() const {
  const std::lock_guard lock(state_->mutex);
  return std::any_of(state_->slots.begin(), state_->slots.end(), [](const Slot& slot) { return slot.place == Place::leaving; });
}

const ModelPoolOptions& ModelPool::options() const { return state_->options; }

}  // namespace fovea::serve
