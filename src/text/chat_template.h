// Chat messages -> prompt text, by the Jinja template that comes with the model.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace fovea::text {

struct ChatMessage {
  std::string role;     // "system", "user", "assistant", ...
  std::string content;  // UTF-8
};

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

  // The prompt for these messages, ending where the assistant is to speak if `add_generation_prompt`.
  std::string render(const std::vector<ChatMessage>& messages, bool add_generation_prompt) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea::text
