// Answers in OpenAI's form: /v1/chat/completions and /v1/completions, whole or as server-sent events.
#pragma once

#include <memory>
#include <vector>

#include "serve/call_fields.h"
#include "serve/http.h"
#include "serve/service.h"

namespace fovea::serve {

// Runs the calls, which differ in their prompts only, and replies. On the server's thread; does not throw.
void answer_openai(Service& service, const Caller& caller, std::vector<OpenAiCall> calls, const std::shared_ptr<Reply>& reply);

}  // namespace fovea::serve
