// Text <-> token ids.
//
// Works through the `tokenizers` library (src/text/rust), so that ids agree with the reference for SentencePiece-style
// and byte-level vocabularies alike.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace fovea::text {

// threads  immutable after construction; every method may be called from several threads at once
// errors   construction throws Error for a vocabulary or file that cannot be used, naming what is missing or unknown
class Tokenizer {
 public:
  static Tokenizer from_vocabulary(const Vocabulary& vocabulary);
  // A Hugging Face tokenizer.json. `config_json` is tokenizer_config.json or empty (tells bos, eos, add_bos_token).
  static Tokenizer from_json(std::string_view tokenizer_json, std::string_view config_json, const std::string& source);
  // A SentencePiece tokenizer.model (protocol buffer, BPE kind).
  static Tokenizer from_sentencepiece(std::string_view model, std::string_view config_json, const std::string& source);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  struct EncodeOptions {
    bool add_bos = true;         // put BOS first if the vocabulary asks for it
    bool parse_special = false;  // "<eos>" in the text is the control token; otherwise it is text like any other
  };
  // errors  throws Error when `text` is not UTF-8, naming the byte offset
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const;

  // The bytes of one token; may be part of a code point. Control tokens give nothing unless `show_special`.
  // errors  throws Error for an id outside the vocabulary
  std::string token_bytes(int32_t id, bool show_special) const;
  std::string decode(const std::vector<int32_t>& ids, bool show_special) const;

  int vocabulary_size() const;
  std::optional<int32_t> bos() const;
  std::optional<int32_t> eos() const;
  // Every token that ends a generation: eos, and end-of-turn tokens known by their text ("<end_of_turn>", "<|im_end|>",
  // "<|eot_id|>", "<|endoftext|>", ...) if they are control tokens.
  const std::vector<int32_t>& end_tokens() const;
  std::optional<int32_t> id_of(std::string_view token) const;  // exact token text
  bool is_control(int32_t id) const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Turns a stream of tokens into a stream of text that never ends inside a code point.
// What cannot be UTF-8 comes out as U+FFFD, the same as decoding everything at once would give.
class StreamingDetokenizer {
 public:
  explicit StreamingDetokenizer(const Tokenizer& tokenizer, bool show_special = false)
      : tokenizer_(&tokenizer), show_special_(show_special) {}
  std::string push(int32_t id);  // text that is complete now, maybe empty
  std::string finish();          // what was held back, an incomplete code point as U+FFFD

 private:
  const Tokenizer* tokenizer_;
  bool show_special_;
  bool first_ = true;
  std::string pending_;
};

}  // namespace fovea::text
