// Texts of clients -> tokens, if they can fit at all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/model.h"

namespace fovea::serve {

// A text with more bytes than the context has room for, were every token the longest of the vocabulary, is refused before it costs
// the time of tokenizing it.
//
// threads  immutable
class PromptReader {
 public:
  PromptReader(std::shared_ptr<const Model> model, int context_tokens);

  // add_bos: BOS, where the model wants it. errors: ApiError for what is too long
  std::vector<int32_t> tokens(std::string_view text, bool add_bos, bool parse_special = true) const;
  // The turns in the model's template, BOS once. errors: ApiError: likewise; no template, or turns that it does not take
  // tools: as Model::render_chat
  std::vector<int32_t> tokens(const std::vector<ChatTurn>& turns, std::string_view tools = "") const;
  std::string text(const std::vector<ChatTurn>& turns, std::string_view tools = "") const;

  const Model& model() const { return *model_; }
  int context_tokens() const { return context_tokens_; }

 private:
  std::shared_ptr<const Model> model_;
  int context_tokens_;
  size_t longest_token_;  // bytes
};

}  // namespace fovea::serve
