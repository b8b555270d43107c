// What a model file says about its tokens, before a tokenizer is built from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fovea::text {

enum class TokenKind : uint8_t { normal, unknown, control, user_defined, unused, byte };

// The tokenizer part of a GGUF file ("tokenizer.ggml.*"), as plain data. `text` knows no file formats.
struct Vocabulary {
  std::string source;               // file, for messages
  std::string model;                // "llama" (SentencePiece-style) or "gpt2" (byte-level BPE)
  std::string pre_tokenizer;        // byte-level only: "smollm", "llama-bpe", "qwen2", ...; unknown names are errors
  std::vector<std::string> tokens;  // index = id
  std::vector<float> scores;        // empty or one per token
  std::vector<TokenKind> kinds;     // empty (all normal) or one per token
  std::vector<std::string> merges;  // byte-level: "left right", best first
  std::optional<int> bos, eos, unknown;
  bool add_bos = false;  // encode() puts BOS first when asked for specials
  bool add_eos = false;
  // SentencePiece only: a text begins with a space, so that its first word is like others. The library of
  // that name puts it once, before everything; llama.cpp, and so GGUF, before the text and again after every
  // special token.
  bool add_space_prefix = false;
  bool space_prefix_once = false;
};

}  // namespace fovea::text
