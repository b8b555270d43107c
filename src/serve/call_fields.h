// Fields of OpenAI's generation requests -> a call.
#pragma once

#include "fovea/model.h"
#include "fovea/server.h"
#include "serve/generation.h"
#include "serve/json_fields.h"
#include "serve/prompt_reader.h"

namespace fovea::serve {

// What a request may ask for on this server.
struct CallContext {
  const PromptReader& prompts;
  const ServerLimits& limits;
  int owner;          // who asks
  std::string salt;   // likewise
  int prompt_lookup;  // where the request says nothing of it
};

enum class StreamMode { whole, pieces, pieces_and_usage };

inline constexpr size_t kMostMessages = 4096;

struct OpenAiCall {
  bool chat = true;
  GenerationCall generation;
  StreamMode stream = StreamMode::whole;
  std::string echo;  // text that comes before the answer
};

// errors: ApiError, as OpenAI words it
OpenAiCall chat_call(const nlohmann::json& body, const CallContext& context);
std::vector<OpenAiCall> completion_calls(const nlohmann::json& body, const CallContext& context);  // one per prompt

// What /v1/responses says of an answer; its prompt is the caller's.
GenerationCall response_call(Fields& fields, const CallContext& context);

ChatTurn chat_turn(const nlohmann::json& message, const std::string& path);
std::string text_of_content(const nlohmann::json& content, const std::string& name);
std::vector<ChatTurn> chat_turns(const nlohmann::json& messages, const std::string& name);
std::vector<std::string> stop_strings(Fields& fields, const char* name, size_t most);
// errors: ApiError that names the field, for what is no array of tokens of the model. REQUIRES an array
std::vector<int32_t> token_list(const nlohmann::json& list, const Model& model, const char* name);
uint64_t random_seed();

}  // namespace fovea::serve
