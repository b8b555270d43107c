#include "serve/conversation_saver.h"

#include <ctime>
#include <future>
#include <utility>

namespace fovea::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLeastPause =
    10;  // times as long as a conversation's saving took: who generates beside it waits no more than a tenth of the time

// Between two steps of the engine; waits for it.
template <typename Work> void visit(AsyncEngine& engine, Work work) {
  std::promise<void> promise;
  engine.between_steps([&](Engine& between) {
    try {
      work(between);
      promise.set_value();
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  });
  promise.get_future().get();
}

}  // namespace

void ConversationSaver::restore(AsyncEngine& engine, const std::string& older) {
  ConversationStore::Restored restored;
  visit(engine, [&](Engine& idle) { restored = store_.restore(idle, older); });
  log_({{"time", std::time(nullptr)}, {"event", "restored"}, {"conversations", restored.conversations}, {"tokens", restored.tokens}});
  for (const std::string& reason : restored.left_out) log_({{"time", std::time(nullptr)}, {"event", "left_out"}, {"reason", reason}});
}

bool ConversationSaver::busy() const {
  const std::lock_guard lock(mutex_);
  return saving_ || store_.pending();
}

void ConversationSaver::save(AsyncEngine& engine, bool idle, bool all, std::shared_ptr<const void> hold) {
  {
    const std::lock_guard lock(mutex_);
    if (saving_ || !store_.pending() || (!idle && Clock::now() < next_)) return;
    saving_ = true;
  }
  engine.between_steps([this, all, hold = std::move(hold)](Engine& between) { save_now(between, all); });
}

// On the engine's thread.
void ConversationSaver::save_now(Engine& engine, bool all) {
  const auto begin = Clock::now();
  do {
    try {
      store_.save_one(engine);
    } catch (const std::exception& error) {
      log_({{"time", std::time(nullptr)}, {"event", "not_saved"}, {"reason", error.what()}});
    }
  } while (all && store_.pending());
  const auto end = Clock::now();
  const std::lock_guard lock(mutex_);
  saving_ = false;
  next_ = end + kLeastPause * (end - begin);
}

void ConversationSaver::finish(AsyncEngine& engine) {
  if (store_.pending()) visit(engine, [this](Engine& between) { save_now(between, true); });
}

}  // namespace fovea::serve
