// Text <-> token ids.
//
// SentencePiece vocabularies are merged by src/text/sentencepiece_encoder.h; byte-level ones and everything a
// tokenizer.json can say go through the `tokenizers` library (src/text/rust). Ids agree with the reference
// for each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/streaming_detokenizer.h"
#include "text/vocabulary.h"

namespace fovea::text {

// threads  immutable after construction; every method may be called from several threads at once
// errors   construction throws Error for a vocabulary or file that cannot be used, naming what is missing or
// unknown
class Tokenizer {
 public:
  static Tokenizer from_vocabulary(const Vocabulary& vocabulary);
  // A Hugging Face tokenizer.json. `config_json` is tokenizer_config.json or empty (tells bos, eos,
  // add_bos_token).
  static Tokenizer from_json(std::string_view tokenizer_json, std::string_view config_json, const std::string& source);
  // A SentencePiece tokenizer.model (protocol buffer, BPE kind).
  static Tokenizer from_sentencepiece(std::string_view model, std::string_view config_json, const std::string& source);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  struct EncodeOptions {
    bool add_bos = true;         // put BOS first (and EOS last) if the vocabulary asks for it
    bool parse_special = false;  // "<eos>" in the text is the control token; otherwise it is text like any other
  };
  // errors  throws Error when `text` is not UTF-8, naming the byte offset
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const;

  // The bytes of one token; may be part of a code point. Control tokens give nothing unless `show_special`.
  // errors  throws Error for an id outside the vocabulary
  std::string token_bytes(int32_t id, bool show_special) const;
  // Always UTF-8, with U+FFFD for what is not. A space that encoding put before the text is taken away again.
  std::string decode(const std::vector<int32_t>& ids, bool show_special) const;

  int vocabulary_size() const;
  std::optional<int32_t> bos() const;
  std::optional<int32_t> eos() const;
  // Every token that ends a generation: eos, and end-of-turn tokens known by their text ("<end_of_turn>",
  // "<|im_end|>",
  // "<|eot_id|>", "<|endoftext|>", ...) if they are control tokens. In ascending order.
  const std::vector<int32_t>& end_tokens() const;
  std::optional<int32_t> id_of(std::string_view token) const;  // exact token text
  bool is_control(int32_t id) const;                           // false for an id outside the vocabulary
  // Encoding puts a space before the text, which decoding takes away again (Llama 2 and its kind).
  bool has_space_prefix() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fovea::text
