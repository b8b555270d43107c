#include "text/tokenizer.h"

#include <algorithm>

#include "fovea/error.h"
#include "text/control_names.h"
#include "text/library.h"
#include "text/sentencepiece_encoder.h"
#include "text/sentencepiece_model.h"
#include "text/special_tokens.h"
#include "text/token_bytes.h"
#include "text/token_table.h"
#include "text/tokenizer_config.h"
#include "text/utf8.h"

namespace fovea::text {
namespace {

// Byte-level BPE, by the library.
class ByteLevelEncoder : public Encoder {
 public:
  explicit ByteLevelEncoder(const Vocabulary& vocabulary) : library_(LibraryTokenizer::from_merges(vocabulary)) {}
  void encode(std::string_view text, bool, std::vector<int32_t>& ids) const override { library_.encode(text, false, false, ids); }

 private:
  LibraryTokenizer library_;
};

TokenKind kind_of(FoveaTokenKind kind, TokenForm form, std::string_view text) {
  if (kind == FOVEA_SPECIAL) return TokenKind::control;
  if (kind == FOVEA_ADDED) return TokenKind::user_defined;
  return form == TokenForm::sentencepiece && byte_of_token_text(text) ? TokenKind::byte : TokenKind::normal;
}

// The ids that the configuration or else the file's own template puts around a text.
std::vector<int32_t> affixes(const LibraryTokenizer& library) {
  std::vector<int32_t> ids;
  library.encode("", true, true, ids);
  return ids;
}

}  // namespace

struct Tokenizer::State {
  std::string source;
  TokenTable tokens;
  std::vector<TokenKind> kinds;  // one per token
  TokenForm form = TokenForm::sentencepiece;
  bool space_prefix = false;
  bool space_prefix_once = false;         // put before the whole text here, instead of by the encoder
  bool added_tokens_are_escaped = false;  // user-defined tokens hold U+2581 for spaces too
  std::optional<int32_t> bos, eos;
  bool add_bos = false, add_eos = false;
  std::vector<int32_t> end_tokens;

  // Either these two, or the library does all of it.
  std::optional<SpecialTokens> specials;
  std::unique_ptr<Encoder> encoder;
  std::optional<LibraryTokenizer> library;

  void check_ends() const {
    for (const auto& [id, add, name] : {std::tuple{bos, add_bos, "BOS"}, std::tuple{eos, add_eos, "EOS"}}) {
      if (id && (*id < 0 || *id >= tokens.size())) {
        throw Error(std::string("token ") + name + " is " + std::to_string(*id) + ", but the vocabulary has " +
                        std::to_string(tokens.size()) + " tokens",
                    source, "the file is damaged");
      }
      if (add && !id) throw Error(std::string(name) + " is to be added, but no such token is named", source, "");
    }
  }

  void find_end_tokens() {
    end_tokens = end_tokens_among(tokens, kinds);
    const auto place = eos ? std::lower_bound(end_tokens.begin(), end_tokens.end(), *eos) : end_tokens.end();
    if (eos && (place == end_tokens.end() || *place != *eos)) end_tokens.insert(place, *eos);
  }

  void encode_text(std::string_view text, bool parse_special, std::vector<int32_t>& ids) const {
    if (library) return library->encode(text, false, parse_special, ids);
    if (!space_prefix_once || text.empty()) return encode_pieces(specials->split(text, parse_special), ids);
    const std::string prefixed = std::string(1, ' ').append(text);
    std::vector<TextPiece> pieces = specials->split(prefixed, parse_special);
    // A text that begins with a control token has no first word.
    if (pieces.size() > 1 && pieces[0].text == " " && is_control(pieces[1].token)) pieces.erase(pieces.begin());
    encode_pieces(pieces, ids);
  }

  void encode_pieces(const std::vector<TextPiece>& pieces, std::vector<int32_t>& ids) const {
    bool after_token = true;
    for (const TextPiece& piece : pieces) {
      if (piece.token == kPlainText) {
        encoder->encode(piece.text, after_token, ids);
      } else {
        ids.push_back(piece.token);
      }
      after_token = piece.token != kPlainText;
    }
  }

  bool is_control(int32_t id) const { return id >= 0 && id < tokens.size() && kinds[static_cast<size_t>(id)] == TokenKind::control; }
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::from_vocabulary(const Vocabulary& vocabulary) {
  const size_t count = vocabulary.tokens.size();
  const auto refuse = [&](const std::string& what, const std::string& mend) { throw Error(what, vocabulary.source, mend); };
  if (count == 0) refuse("the vocabulary is empty", "use a file with a tokenizer");
  if (!vocabulary.kinds.empty() && vocabulary.kinds.size() != count) {
    refuse("there are " + std::to_string(vocabulary.kinds.size()) + " token kinds for " + std::to_string(count) + " tokens",
           "the file is damaged");
  }
  if (!vocabulary.scores.empty() && vocabulary.scores.size() != count) {
    refuse("there are " + std::to_string(vocabulary.scores.size()) + " scores for " + std::to_string(count) + " tokens",
           "the file is damaged");
  }

  auto state = std::make_unique<State>();
  state->source = vocabulary.source;
  state->tokens = TokenTable(vocabulary.tokens, vocabulary.source);
  state->kinds = vocabulary.kinds;
  state->kinds.resize(count, TokenKind::normal);
  state->bos = vocabulary.bos;
  state->eos = vocabulary.eos;
  state->add_bos = vocabulary.add_bos;
  state->add_eos = vocabulary.add_eos;
  if (vocabulary.model == "llama") {
    state->form = TokenForm::sentencepiece;
    state->space_prefix = vocabulary.add_space_prefix;
    state->space_prefix_once = vocabulary.add_space_prefix && vocabulary.space_prefix_once;
    state->encoder = std::make_unique<SentencePieceEncoder>(state->tokens, vocabulary);
  } else if (vocabulary.model == "gpt2") {
    state->form = TokenForm::byte_level;
    state->encoder = std::make_unique<ByteLevelEncoder>(vocabulary);
  } else {
    refuse("tokenizer model \"" + vocabulary.model + "\" is not known", "known are llama (SentencePiece) and gpt2 (byte-level BPE)");
  }
  state->specials.emplace(state->tokens, kinds_for_parsing(state->tokens, state->kinds));
  state->check_ends();
  state->find_end_tokens();
  return Tokenizer(std::move(state));
}

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view config_json, const std::string& source) {
  const TokenizerConfig config = parse_tokenizer_config(config_json, source);
  auto state = std::make_unique<State>();
  state->source = source;
  state->library.emplace(LibraryTokenizer::from_json(tokenizer_json, source));
  const FoveaTokenizer* const library = state->library->get();
  state->form = fovea_tokenizer_form(library) == FOVEA_BYTE_LEVEL ? TokenForm::byte_level : TokenForm::sentencepiece;
  state->space_prefix = fovea_tokenizer_drops_first_space(library);
  state->added_tokens_are_escaped = true;

  std::vector<std::string> texts;
  for (size_t id = 0; id < fovea_tokenizer_size(library); ++id) {
    const FoveaSpan text = fovea_tokenizer_token(library, id);
    texts.emplace_back(text.data, text.size);
    state->kinds.push_back(kind_of(fovea_tokenizer_token_kind(library, id), state->form, texts.back()));
  }
  state->tokens = TokenTable(texts, source);

  const std::vector<int32_t> around = affixes(*state->library);
  if (config.bos_token) state->bos = state->tokens.find(*config.bos_token);
  if (config.eos_token) state->eos = state->tokens.find(*config.eos_token);
  if (!config.bos_token && !around.empty()) state->bos = around.front();
  state->add_bos = state->bos && config.add_bos.value_or(!around.empty() && around.front() == *state->bos);
  state->add_eos = state->eos && config.add_eos.value_or(!around.empty() && around.back() == *state->eos);
  state->check_ends();
  state->find_end_tokens();
  return Tokenizer(std::move(state));
}

Tokenizer Tokenizer::from_sentencepiece(std::string_view model, std::string_view config_json, const std::string& source) {
  const TokenizerConfig config = parse_tokenizer_config(config_json, source);
  Vocabulary vocabulary = parse_sentencepiece_model(model, source);
  const auto named = [&](const std::string& text) -> std::optional<int> {
    const auto found = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), text);
    if (found == vocabulary.tokens.end()) return std::nullopt;
    return static_cast<int>(found - vocabulary.tokens.begin());
  };
  if (config.bos_token) vocabulary.bos = named(*config.bos_token);
  if (config.eos_token) vocabulary.eos = named(*config.eos_token);
  vocabulary.add_bos = vocabulary.bos && config.add_bos.value_or(true);
  vocabulary.add_eos = vocabulary.eos && config.add_eos.value_or(false);
  return from_vocabulary(vocabulary);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (const auto offset = first_invalid_utf8(text)) {
    throw Error("the text is not UTF-8 at byte " + std::to_string(*offset), "", "convert it to UTF-8");
  }
  std::vector<int32_t> ids;
  if (options.add_bos && state_->add_bos) ids.push_back(*state_->bos);
  state_->encode_text(text, options.parse_special, ids);
  if (options.add_bos && state_->add_eos) ids.push_back(*state_->eos);
  return ids;
}

std::string Tokenizer::token_bytes(int32_t id, bool show_special) const {
  if (id < 0 || id >= vocabulary_size()) {
    throw Error("token " + std::to_string(id) + " does not exist: the vocabulary has " + std::to_string(vocabulary_size()) + " tokens",
                state_->source, "");
  }
  const TokenKind kind = state_->kinds[static_cast<size_t>(id)];
  const std::string_view text = state_->tokens.text(id);
  if (kind == TokenKind::control || kind == TokenKind::unknown) return std::string(show_special ? text : "");
  if (kind == TokenKind::user_defined && !state_->added_tokens_are_escaped) return std::string(text);
  if (kind == TokenKind::byte) {
    if (const auto byte = byte_of_token_text(text)) return std::string(1, static_cast<char>(*byte));
  }
  return state_->form == TokenForm::byte_level ? bytes_of_byte_level(text) : without_visible_spaces(text);
}

std::string Tokenizer::decode(const std::vector<int32_t>& ids, bool show_special) const {
  StreamingDetokenizer stream(*this, show_special);
  std::string text;
  for (const int32_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

int Tokenizer::vocabulary_size() const { return state_->tokens.size(); }
std::optional<int32_t> Tokenizer::bos() const { return state_->bos; }
std::optional<int32_t> Tokenizer::eos() const { return state_->eos; }
const std::vector<int32_t>& Tokenizer::end_tokens() const { return state_->end_tokens; }
std::optional<int32_t> Tokenizer::id_of(std::string_view token) const { return state_->tokens.find(token); }
bool Tokenizer::has_space_prefix() const { return state_->space_prefix; }
bool Tokenizer::is_control(int32_t id) const { return state_->is_control(id); }

}  // namespace fovea::text
