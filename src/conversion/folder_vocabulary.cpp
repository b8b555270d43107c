#include "conversion/folder_vocabulary.h"

#include "conversion/tokenizer_json.h"
#include "fovea/error.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace fovea::conversion {
namespace {

using text::TokenKind;
using text::Vocabulary;

// An id, or the first of several.
std::optional<int> id_in(const files::Metadata& config, const char* name) {
  const files::Value* value = config.find(name);
  if (!value) return std::nullopt;
  if (std::holds_alternative<int64_t>(*value)) return config.integer(name);
  const std::vector<int> several = config.integers(name);
  return several.empty() ? std::nullopt : std::optional(several.front());
}

// Which tokens begin and end a text, as the tokenizer of the folder does it.
void set_ends(const text::Tokenizer& tokenizer, Vocabulary& vocabulary) {
  const std::vector<int32_t> around = tokenizer.encode("", {.add_bos = true});
  vocabulary.bos = tokenizer.bos();
  vocabulary.eos = tokenizer.eos();
  vocabulary.add_bos = vocabulary.bos && !around.empty() && around.front() == *vocabulary.bos;
  vocabulary.add_eos = vocabulary.eos && !around.empty() && around.back() == *vocabulary.eos;
}

// tokenizer.model has the scores themselves; what was added later stands only in tokenizer.json.
std::optional<Vocabulary> pieces_of(const files::ModelFiles& folder) {
  const auto model = folder.side_file("tokenizer.model");
  if (!model) return std::nullopt;
  try {
    return text::parse_sentencepiece_model(*model, folder.path + "/tokenizer.model");
  } catch (const Error&) {
    if (!folder.side_file("tokenizer.json")) throw;
    return std::nullopt;  // of another kind, which tokenizer.json may still say
  }
}

void add_later_tokens(const Vocabulary& later, Vocabulary& vocabulary) {
  for (size_t id = 0; id < later.tokens.size(); ++id) {
    const bool is_new = id >= vocabulary.tokens.size();
    if (is_new) {
      vocabulary.tokens.push_back(later.tokens[id]);
      vocabulary.kinds.push_back(later.kinds[id]);
      vocabulary.scores.push_back(0);
    } else if (later.kinds[id] == TokenKind::control || later.kinds[id] == TokenKind::user_defined) {
      vocabulary.tokens[id] = later.tokens[id];
      vocabulary.kinds[id] = later.kinds[id];
    }
  }
}

void fit_to(int rows, Vocabulary& vocabulary) {
  const auto size = static_cast<size_t>(rows);
  const bool scored = !vocabulary.scores.empty();
  for (size_t id = vocabulary.tokens.size(); id < size; ++id) vocabulary.tokens.push_back("[PAD" + std::to_string(id) + "]");
  vocabulary.tokens.resize(size);
  vocabulary.kinds.resize(size, TokenKind::unused);
  if (scored) vocabulary.scores.resize(size, 0);
}

std::optional<std::string> chat_template_of(const files::ModelFiles& folder, const std::string& config) {
  if (auto source = folder.side_file("chat_template.jinja")) return source;
  return text::parse_tokenizer_config(config, folder.path + "/tokenizer_config.json").chat_template;
}

}  // namespace

std::optional<FolderVocabulary> folder_vocabulary(const files::ModelFiles& folder, int rows, const std::string& pre_tokenizer) {
  const std::string config = folder.side_file("tokenizer_config.json").value_or("");
  const auto json = folder.side_file("tokenizer.json");
  std::optional<Vocabulary> vocabulary = pieces_of(folder);
  if (!vocabulary && !json) return std::nullopt;
  if (json) {
    const std::string source = folder.path + "/tokenizer.json";
    Vocabulary whole = parse_tokenizer_json(*json, source, pre_tokenizer);
    if (!vocabulary) vocabulary = std::move(whole);
    else add_later_tokens(whole, *vocabulary);
    set_ends(text::Tokenizer::from_json(*json, config, source), *vocabulary);
  } else {
    set_ends(text::Tokenizer::from_sentencepiece(*folder.side_file("tokenizer.model"), config, folder.path + "/tokenizer.model"),
             *vocabulary);
  }
  if (!vocabulary->bos) vocabulary->bos = id_in(folder.metadata, "bos_token_id");
  if (!vocabulary->eos) vocabulary->eos = id_in(folder.metadata, "eos_token_id");
  fit_to(rows, *vocabulary);
  return FolderVocabulary{std::move(*vocabulary), id_in(folder.metadata, "pad_token_id"), chat_template_of(folder, config)};
}

std::vector<files::GgufKey> tokenizer_keys(const std::optional<FolderVocabulary>& folder) {
  if (!folder) return {{"tokenizer.ggml.model", std::string("none")}};
  const Vocabulary& vocabulary = folder->vocabulary;
  std::vector<int32_t> types;
  for (const TokenKind kind : vocabulary.kinds) types.push_back(static_cast<int32_t>(kind) + 1);
  std::vector<files::GgufKey> keys = {
      {"tokenizer.ggml.model", vocabulary.model},
      {"tokenizer.ggml.pre", vocabulary.pre_tokenizer.empty() ? std::string("default") : vocabulary.pre_tokenizer},
      {"tokenizer.ggml.tokens", vocabulary.tokens},
      {"tokenizer.ggml.token_type", std::move(types)},
      {"tokenizer.ggml.add_bos_token", vocabulary.add_bos},
      {"tokenizer.ggml.add_eos_token", vocabulary.add_eos}};
  const bool pieces = vocabulary.merges.empty();
  if (pieces) keys.push_back({"tokenizer.ggml.scores", vocabulary.scores});
  else keys.push_back({"tokenizer.ggml.merges", vocabulary.merges});
  if (pieces) keys.push_back({"tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix});
  const auto add_id = [&](const char* name, const std::optional<int>& id) {
    const bool exists = id && *id >= 0 && static_cast<size_t>(*id) < vocabulary.tokens.size();
    if (exists) keys.push_back({std::string("tokenizer.ggml.") + name, static_cast<uint32_t>(*id)});
  };
  add_id("bos_token_id", vocabulary.bos);
  add_id("eos_token_id", vocabulary.eos);
  add_id("unknown_token_id", vocabulary.unknown);
  add_id("padding_token_id", folder->pad);
  if (folder->chat_template) keys.push_back({"tokenizer.chat_template", *folder->chat_template});
  return keys;
}

}  // namespace fovea::conversion
