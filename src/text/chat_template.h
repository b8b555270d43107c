// A conversation -> prompt text, by the Jinja template that comes with the model.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/chat.h"

namespace fovea::text {

// Templates come from files nobody vouches for: they run with bounded steps, recursion and output.
// threads  immutable after construction
// errors   construction throws Error for a template that does not parse; render() for one that fails or
// raises
//          (the template's own message is passed on), both with the line
class ChatTemplate {
 public:
  ChatTemplate(std::string source, std::string bos_token, std::string eos_token, std::string where);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // The prompt for these turns, ending where the assistant is to speak if `add_generation_prompt`.
  // tools: a JSON list in OpenAI's form, or empty. A template that does not know of tools is told of them in text (tool_text.h).
  std::string render(const std::vector<ChatTurn>& turns, bool add_generation_prompt, std::string_view tools = "") const;

  // How a model with this template writes calls of tools.
  ToolCallForm tool_call_form() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea::text
