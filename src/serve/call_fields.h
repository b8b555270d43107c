// Fields of OpenAI's generation requests -> a call.
#pragma once

#include "fovea/model.h"
#include "fovea/server.h"
#include "serve/generation.h"
#include "serve/json_fields.h"

namespace fovea::serve {

// What a request may ask for on this server.
struct CallContext {
  const Model& model;
  const ServerLimits& limits;
  std::string salt;  // of who asks
};

enum class StreamMode { whole, pieces, pieces_and_usage };

struct OpenAiCall {
  bool chat = true;
  GenerationCall generation;
  StreamMode stream = StreamMode::whole;
  std::string model;  // as asked for
  std::string echo;   // text that comes before the answer
};

// errors: ApiError, as OpenAI words it
OpenAiCall chat_call(const nlohmann::json& body, const CallContext& context);
std::vector<OpenAiCall> completion_calls(const nlohmann::json& body, const CallContext& context);  // one per prompt

std::vector<ChatTurn> chat_turns(const nlohmann::json& messages, const std::string& name);
// The turns in the model's template as tokens, BOS once. errors: ApiError: no template, or turns it does not take
std::vector<int32_t> chat_tokens(const Model& model, const std::vector<ChatTurn>& turns);
std::string chat_text(const Model& model, const std::vector<ChatTurn>& turns);
std::vector<std::string> stop_strings(Fields& fields, const char* name, size_t most);
uint64_t random_seed();

}  // namespace fovea::serve
