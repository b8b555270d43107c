// From an opened model to its tokenizer and chat template: where each container keeps them.
#pragma once

#include <optional>

#include "files/model_files.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace fovea::text {

// The keys "tokenizer.ggml.*" of a GGUF, with the defaults that the format gives to absent ones.
// errors  throws Error when there is no vocabulary, or a key has the wrong kind
Vocabulary vocabulary_from(const files::ModelFiles& model);

// A GGUF's vocabulary, or a folder's tokenizer.json, else its tokenizer.model. nullopt when the model comes
// without. errors  throws Error as the tokenizer's constructors do
std::optional<Tokenizer> load_tokenizer(const files::ModelFiles& model);

// A GGUF's "tokenizer.chat_template", or a folder's chat_template.jinja, else the one in
// tokenizer_config.json. nullopt when the model comes without, as base models do.
std::optional<ChatTemplate> load_chat_template(const files::ModelFiles& model, const Tokenizer& tokenizer);

}  // namespace fovea::text
