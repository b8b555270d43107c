#include "serve/prompt_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "fovea/error.h"
#include "serve/api_error.h"
#include "serve/generation.h"

namespace fovea::serve {
namespace {

size_t longest_token(const Model& model) {
  size_t longest = 1;
  for (int32_t token = 0; token < model.facts().vocabulary; ++token) longest = std::max(longest, token_text(model, token).size());
  return longest;
}

}  // namespace

PromptReader::PromptReader(std::shared_ptr<const Model> model, int context_tokens)
    : model_(std::move(model)), context_tokens_(context_tokens), longest_token_(longest_token(*model_)) {}

std::vector<int32_t> PromptReader::tokens(std::string_view text, bool add_bos, bool parse_special) const {
  if (const size_t least = text.size() / longest_token_; least > static_cast<size_t>(context_tokens_)) {
    throw bad_request(
        fmt::format("This model's maximum context length is {} tokens. However, your text of {} bytes has more than {}. Please "
                    "reduce its length.",
                    context_tokens_, text.size(), least),
        "messages", "context_length_exceeded");
  }
  return model_->tokenize(text, add_bos, parse_special);
}

std::string PromptReader::text(const std::vector<ChatTurn>& turns, std::string_view tools) const {
  if (!model_->has_chat_template()) {
    throw bad_request("This model has no chat template: it continues texts and does not converse. Use /v1/completions.", "model",
                      "no_chat_template");
  }
  try {
    return model_->render_chat(turns, tools);
  } catch (const Error& error) {
    throw bad_request("The model's chat template does not take these messages: " + error.problem(), "messages", "invalid_value");
  }
}

std::vector<int32_t> PromptReader::tokens(const std::vector<ChatTurn>& turns, std::string_view tools) const {
  std::vector<int32_t> tokens = this->tokens(text(turns, tools), false);
  const std::vector<int32_t> around = model_->tokenize("", true);  // what the model wants around every text
  const bool wants_bos = !around.empty() && model_->bos() == around.front();
  if (wants_bos && (tokens.empty() || tokens.front() != around.front())) tokens.insert(tokens.begin(), around.front());
  return tokens;
}

}  // namespace fovea::serve
