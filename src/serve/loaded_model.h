// A model with everything that answers for it.
#pragma once

#include <memory>
#include <string>

#include "fovea/async_engine.h"
#include "serve/conversation_saver.h"
#include "serve/prompt_reader.h"

namespace fovea::serve {

// threads  constant once it is loaded; what it points to says for itself
struct LoadedModel {
  std::string name;   // what clients call it
  std::string label;  // of its metrics: `model="..."`; empty: it is the only one
  std::shared_ptr<const Model> model;
  std::unique_ptr<const PromptReader> prompts;
  std::unique_ptr<ConversationSaver> conversations;  // null: they do not outlive the server
  std::unique_ptr<AsyncEngine> engine;               // last: it refers to the others
};

// It stays loaded while anybody holds one of these. Where the pool ends first, it has no engine any more.
using ModelUse = std::shared_ptr<const LoadedModel>;

}  // namespace fovea::serve
