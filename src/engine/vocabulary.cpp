#include "engine/vocabulary.h"

#include "text/pre_tokenizer.h"
#include "text/tokenizer_config.h"

namespace fovea::text {
namespace {

constexpr const char* kModelKey = "tokenizer.ggml.model";

// GGUF counts the kinds from 1; what it does not define is an ordinary token.
std::vector<TokenKind> kinds_from(const std::vector<int>& types) {
  std::vector<TokenKind> kinds;
  kinds.reserve(types.size());
  for (const int type : types) {
    kinds.push_back(type >= 1 && type <= 6 ? static_cast<TokenKind>(type - 1) : TokenKind::normal);
  }
  return kinds;
}

std::string config_of(const files::ModelFiles& model) { return model.side_file("tokenizer_config.json").value_or(""); }

std::optional<std::string> template_source(const files::ModelFiles& model) {
  if (model.container == files::Container::gguf) {
    const std::string key = "tokenizer.chat_template";
    return model.metadata.has(key) ? std::optional(model.metadata.text(key)) : std::nullopt;
  }
  if (auto source = model.side_file("chat_template.jinja")) return source;
  return parse_tokenizer_config(config_of(model), model.path + "/tokenizer_config.json").chat_template;
}

}  // namespace

Vocabulary vocabulary_from(const files::ModelFiles& model) {
  const files::Metadata& metadata = model.metadata;
  Vocabulary vocabulary;
  vocabulary.source = model.path;
  vocabulary.model = metadata.text(kModelKey);
  vocabulary.tokens = metadata.texts("tokenizer.ggml.tokens");
  vocabulary.kinds = kinds_from(metadata.integers("tokenizer.ggml.token_type"));
  vocabulary.bos = metadata.maybe_integer("tokenizer.ggml.bos_token_id");
  vocabulary.eos = metadata.maybe_integer("tokenizer.ggml.eos_token_id");
  vocabulary.unknown = metadata.maybe_integer("tokenizer.ggml.unknown_token_id");

  bool adds_bos = false, adds_space = false;
  if (vocabulary.model == "llama") {
    vocabulary.scores = metadata.numbers("tokenizer.ggml.scores");
    if (!vocabulary.unknown) vocabulary.unknown = 0;
    if (!vocabulary.bos) vocabulary.bos = 1;
    if (!vocabulary.eos) vocabulary.eos = 2;
    adds_bos = adds_space = true;
  } else if (vocabulary.model == "gpt2") {
    vocabulary.merges = metadata.texts("tokenizer.ggml.merges");
    vocabulary.pre_tokenizer = metadata.text("tokenizer.ggml.pre", "default");
    adds_bos = pre_tokenizer_named(vocabulary.pre_tokenizer, model.path).adds_bos;
  }
  vocabulary.add_bos = metadata.flag("tokenizer.ggml.add_bos_token", adds_bos);
  vocabulary.add_eos = metadata.flag("tokenizer.ggml.add_eos_token", false);
  vocabulary.add_space_prefix = metadata.flag("tokenizer.ggml.add_space_prefix", adds_space);
  return vocabulary;
}

std::optional<Tokenizer> load_tokenizer(const files::ModelFiles& model) {
  if (model.container == files::Container::gguf) {
    const std::string kind = model.metadata.text(kModelKey, "none");
    if (kind == "none" || kind == "no_vocab") return std::nullopt;
    return Tokenizer::from_vocabulary(vocabulary_from(model));
  }
  if (const auto json = model.side_file("tokenizer.json")) {
    return Tokenizer::from_json(*json, config_of(model), model.path + "/tokenizer.json");
  }
  if (const auto sentencepiece = model.side_file("tokenizer.model")) {
    return Tokenizer::from_sentencepiece(*sentencepiece, config_of(model), model.path + "/tokenizer.model");
  }
  return std::nullopt;
}

std::optional<ChatTemplate> load_chat_template(const files::ModelFiles& model, const Tokenizer& tokenizer) {
  auto source = template_source(model);
  if (!source) return std::nullopt;
  const auto text_of = [&](std::optional<int32_t> id) { return id ? tokenizer.token_bytes(*id, true) : std::string(); };
  return ChatTemplate(std::move(*source), text_of(tokenizer.bos()), text_of(tokenizer.eos()), model.path + ", chat template");
}

}  // namespace fovea::text
