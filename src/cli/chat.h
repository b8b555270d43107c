// Conversation with a chat model on the terminal.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fovea/engine.h"

namespace fovea::cli {

struct ChatOptions {
  SamplingOptions sampling;
  std::shared_ptr<const Grammar> grammar = {};  // of every answer; null: any text
  int prompt_lookup = 0;
  int max_tokens = -1;  // of an answer; -1: until the model ends it
  std::string system;   // empty: none
  std::optional<std::string> first_message;
  bool stats = false;
  std::optional<std::string> session;    // file that the conversation is continued from and saved to
  std::optional<std::string> kv_report;  // file that is written after each answer
};

// Reads messages from stdin until Ctrl-D or /exit. Ctrl-C stops an answer; at the prompt, the second in a row
// leaves. errors: Error when the model has no chat template
int talk(const std::shared_ptr<const Model>& model, EngineOptions engine_options, const ChatOptions& options);

// The turns in the model's template, as tokens. BOS comes first once, whether the template writes it or not.
std::vector<int32_t> chat_tokens(const Model& model, const std::vector<ChatTurn>& turns);

}  // namespace fovea::cli
