// tokenizer_config.json: what a Hugging Face folder says about the ends of texts, and its chat template.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fovea::text {

struct TokenizerConfig {
  std::optional<std::string> bos_token, eos_token;  // token texts
  std::optional<bool> add_bos, add_eos;
  std::optional<std::string> chat_template;  // of several the one named "default"
};

// An empty `json` gives an empty config.
// errors  throws Error naming `source` when it is not a JSON object, or a field has the wrong kind
TokenizerConfig parse_tokenizer_config(std::string_view json, const std::string& source);

}  // namespace fovea::text
