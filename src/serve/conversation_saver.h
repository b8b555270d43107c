// Saves conversations of one engine between its steps.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "fovea/async_engine.h"
#include "serve/conversation_store.h"

namespace fovea::serve {

// threads  any; the engine outlives what is asked of it
class ConversationSaver {
 public:
  using Log = std::function<void(const nlohmann::ordered_json& line)>;

  // errors: as ConversationStore
  ConversationSaver(std::string folder, int64_t most_bytes, Log log) : store_(std::move(folder), most_bytes), log_(std::move(log)) {}

  // Waits for it. older: a folder whose conversations of this model are taken over; empty: none
  void restore(AsyncEngine& engine, const std::string& older);
  void add(ConversationStore::Turn turn) { store_.add(std::move(turn)); }
  bool busy() const;  // something is saved, or waits for it
  // Between two steps, soon: one conversation, or all. Nothing while one is being saved, or while saving took more than its share of the
  // time and `idle` is false. hold: what keeps the engine until that is done
  void save(AsyncEngine& engine, bool idle, bool all, std::shared_ptr<const void> hold);
  void finish(AsyncEngine& engine);  // saves all, and waits for it

 private:
  void save_now(Engine& engine, bool all);

  ConversationStore store_;
  Log log_;
  mutable std::mutex mutex_;  // of what follows
  bool saving_ = false;
  std::chrono::steady_clock::time_point next_ = {};
};

}  // namespace fovea::serve
