#include "fovea/async_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace fovea {
namespace {

struct Submission {
  RequestId id;
  Request request;
  AsyncEngine::Sink sink;
  AsyncEngine::Deadline deadline;
};

// What callers want done before the next step.
struct Inbox {
  std::vector<Submission> submissions;
  std::vector<RequestId> cancellations;
  std::vector<std::function<void(Engine&)>> visits;

  bool empty() const { return submissions.empty() && cancellations.empty() && visits.empty(); }
};

struct Active {
  RequestId id;  // the callers'; the engine's is the key
  AsyncEngine::Sink sink;
  AsyncEngine::Deadline deadline;
};

}  // namespace

struct AsyncEngine::State {
  State(std::shared_ptr<const Model> model, const EngineOptions& options, const AsyncEngineOptions& async_options)
      : engine(std::move(model), options), async(async_options) {}

  void run();
  bool take(Inbox& work);
  void begin(Submission submission);
  void end(RequestId engine_id, FinishReason reason, std::exception_ptr error = nullptr);
  void end_all(FinishReason reason, const std::exception_ptr& error = nullptr);
  void expire();
  void step();
  void deliver(Event event);

  Engine engine;  // the thread's; others call what is const and safe
  const AsyncEngineOptions async;
  std::map<RequestId, Active> active;  // the thread's

  mutable std::mutex mutex;  // of everything below
  std::condition_variable wake;
  Inbox inbox;
  RequestId next_id = 1;
  int unfinished = 0;
  bool leaving = false;

  std::thread thread;  // last: it uses the others
};

// Waits for something to do. False: the engine is to end.
bool AsyncEngine::State::take(Inbox& work) {
  std::unique_lock lock(mutex);
  wake.wait(lock, [&] { return leaving || !inbox.empty() || !active.empty(); });
  work = std::exchange(inbox, {});
  return !leaving;
}

void AsyncEngine::State::begin(Submission submission) {
  RequestId engine_id = 0;
  try {
    engine_id = engine.submit(std::move(submission.request));
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    active.emplace(0, Active{submission.id, std::move(submission.sink), {}});
    return end(0, FinishReason::failed, error);
  }
  active.emplace(engine_id, Active{submission.id, std::move(submission.sink), submission.deadline});
}

void AsyncEngine::State::deliver(Event event) {
  const auto found = active.find(event.request);
  if (found == active.end()) return;
  event.request = found->second.id;
  if (event.finished == FinishReason::none) return found->second.sink(event);
  const Active over = std::move(found->second);
  active.erase(found);
  {
    const std::lock_guard lock(mutex);
    --unfinished;
  }
  over.sink(event);
}

void AsyncEngine::State::end(RequestId engine_id, FinishReason reason, std::exception_ptr error) {
  Event event;
  event.request = engine_id;
  event.finished = reason;
  event.reuse = engine.reuse(engine_id).value_or(ReuseReport{});
  event.error = std::move(error);
  engine.cancel(engine_id);
  deliver(std::move(event));
}

void AsyncEngine::State::end_all(FinishReason reason, const std::exception_ptr& error) {
  while (!active.empty()) end(active.begin()->first, reason, error);
}

void AsyncEngine::State::expire() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<RequestId> late;
  for (const auto& [engine_id, request] : active) {
    if (request.deadline && *request.deadline <= now) late.push_back(engine_id);
  }
  for (const RequestId engine_id : late) end(engine_id, FinishReason::expired);
}

void AsyncEngine::State::step() {
  std::vector<Event> events;
  try {
    events = engine.step();
  } catch (...) {  // no memory, say: the requests are lost, the engine goes on
    return end_all(FinishReason::failed, std::current_exception());
  }
  for (Event& event : events) deliver(std::move(event));
}

void AsyncEngine::State::run() {
  Inbox work;
  while (take(work)) {
    for (Submission& submission : work.submissions) begin(std::move(submission));
    for (const RequestId id : work.cancellations) {
      const auto found = std::find_if(active.begin(), active.end(), [id](const auto& entry) { return entry.second.id == id; });
      if (found != active.end()) end(found->first, FinishReason::cancelled);
    }
    for (const auto& visit : work.visits) {
      try {
        visit(engine);
      } catch (...) {  // a visitor's own; the requests go on
      }
    }
    work.visits.clear();  // now: what they hold may be waited for while this thread sleeps
    expire();
    if (!active.empty()) step();
  }
  for (Submission& submission : work.submissions) begin(std::move(submission));
  end_all(FinishReason::cancelled);
}

AsyncEngine::AsyncEngine(std::shared_ptr<const Model> model, const EngineOptions& options, const AsyncEngineOptions& async)
    : state_(std::make_unique<State>(std::move(model), options, async)) {
  state_->thread = std::thread([this] { state_->run(); });
}

AsyncEngine::~AsyncEngine() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->leaving = true;
  }
  state_->wake.notify_one();
  state_->thread.join();
}

RequestId AsyncEngine::submit(Request request, Sink sink, Deadline deadline) {
  State& s = *state_;
  s.engine.check(request);
  RequestId id = 0;
  {
    const std::lock_guard lock(s.mutex);
    const int sequences = s.engine.options().sequences, most = sequences + s.async.most_waiting;
    if (s.unfinished >= most) {
      throw QueueFull(fmt::format("{} requests run and {} wait, which is as many as may", sequences, s.unfinished - sequences), "request",
                      "send it again later");
    }
    ++s.unfinished;
    id = s.next_id++;
    s.inbox.submissions.push_back({id, std::move(request), std::move(sink), deadline});
  }
  s.wake.notify_one();
  return id;
}

void AsyncEngine::cancel(RequestId request) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->inbox.cancellations.push_back(request);
  }
  state_->wake.notify_one();
}

void AsyncEngine::between_steps(std::function<void(Engine&)> visit) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->inbox.visits.push_back(std::move(visit));
  }
  state_->wake.notify_one();
}

int AsyncEngine::active() const {
  const std::lock_guard lock(state_->mutex);
  return state_->unfinished;
}

const EngineOptions& AsyncEngine::options() const { return state_->engine.options(); }

}  // namespace fovea
