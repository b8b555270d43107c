#include "text/chat_template.h"

#include <nlohmann/json.hpp>

#include "text/library.h"

namespace fovea::text {

struct ChatTemplate::State {
  LibraryTemplate chat_template;
  std::string bos_token, eos_token;
};

ChatTemplate::ChatTemplate(std::string source, std::string bos_token, std::string eos_token,
                           std::string where)
    : state_(new State{LibraryTemplate(source, where), std::move(bos_token), std::move(eos_token)}) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(const std::vector<ChatMessage>& messages, bool add_generation_prompt) const {
  using Json = nlohmann::ordered_json;
  Json variables = {{"messages", Json::array()},
                    {"add_generation_prompt", add_generation_prompt},
                    {"bos_token", state_->bos_token},
                    {"eos_token", state_->eos_token}};
  for (const ChatMessage& message : messages) {
    variables["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  // Bytes that are no UTF-8 become U+FFFD.
  const auto repair = Json::error_handler_t::replace;
  return state_->chat_template.render(variables.dump(-1, ' ', false, repair));
}

}  // namespace fovea::text
