#include "synthesis/keys.h"

#include "synthesis/filler_vocabulary.h"

namespace fovea::synthesis {
namespace {

class KeyList {
 public:
  explicit KeyList(std::string architecture) : architecture_(std::move(architecture)) {}

  void add(const std::string& name, files::GgufValue value) { keys_.push_back({name, std::move(value)}); }
  // Most keys carry the architecture before them.
  void add_own(const std::string& name, files::GgufValue value) { add(architecture_ + "." + name, std::move(value)); }
  void add_own_count(const std::string& name, int value) { add_own(name, static_cast<uint32_t>(value)); }
  std::vector<files::GgufKey> take() { return std::move(keys_); }

 private:
  std::string architecture_;
  std::vector<files::GgufKey> keys_;
};

void add_shape(const Shape& shape, KeyList& keys) {
  keys.add_own_count("context_length", shape.context_tokens);
  keys.add_own_count("embedding_length", shape.hidden);
  keys.add_own_count("block_count", shape.layers);
  keys.add_own_count("feed_forward_length", shape.width);
  keys.add_own_count("vocab_size", shape.vocabulary);
  keys.add_own_count("attention.head_count", shape.q_heads);
  keys.add_own_count("attention.head_count_kv", shape.kv_heads);
  keys.add_own_count("attention.key_length", shape.head_dim);
  keys.add_own_count("attention.value_length", shape.head_dim);
  keys.add_own("attention.layer_norm_rms_epsilon", shape.norm_eps);
  keys.add_own("rope.freq_base", shape.rope_base);
}

// Which layers are local, and the base of their rope, are not said: real files leave both to the readers'
// defaults.
void add_gemma3(const Shape& shape, KeyList& keys) {
  keys.add_own_count("attention.sliding_window", shape.window);
  if (shape.rope_factor == 1) return;
  keys.add_own("rope.scaling.type", std::string("linear"));
  keys.add_own("rope.scaling.factor", shape.rope_factor);
}

void add_tokenizer(int tokens, KeyList& keys) {
  using Filler = FillerVocabulary;
  FillerVocabulary vocabulary = filler_vocabulary(tokens);
  keys.add("tokenizer.ggml.model", std::string("llama"));
  keys.add("tokenizer.ggml.pre", std::string("default"));
  keys.add("tokenizer.ggml.tokens", std::move(vocabulary.tokens));
  keys.add("tokenizer.ggml.scores", std::move(vocabulary.scores));
  keys.add("tokenizer.ggml.token_type", std::move(vocabulary.types));
  keys.add("tokenizer.ggml.bos_token_id", uint32_t{Filler::kBos});
  keys.add("tokenizer.ggml.eos_token_id", uint32_t{Filler::kEos});
  keys.add("tokenizer.ggml.unknown_token_id", uint32_t{Filler::kUnknown});
  keys.add("tokenizer.ggml.padding_token_id", uint32_t{Filler::kPad});
  keys.add("tokenizer.ggml.add_bos_token", true);
  keys.add("tokenizer.ggml.add_eos_token", false);
  keys.add("tokenizer.ggml.add_space_prefix", false);
}

}  // namespace

std::vector<files::GgufKey> keys_of(const Shape& shape, const Quantization& quantization, const std::string& name) {
  const bool gemma = shape.architecture == Architecture::gemma3;
  const std::string architecture = gemma ? "gemma3" : "llama";
  KeyList keys(architecture);
  keys.add("general.architecture", architecture);
  keys.add("general.type", std::string("model"));
  keys.add("general.name", name);
  keys.add("general.description", std::string("random weights, for measuring speed and memory"));
  keys.add("general.file_type", quantization.file_type);
  keys.add("general.quantization_version", uint32_t{2});
  add_shape(shape, keys);
  if (gemma) add_gemma3(shape, keys);
  if (!gemma) keys.add_own_count("rope.dimension_count", shape.head_dim);
  add_tokenizer(shape.vocabulary, keys);
  return keys.take();
}

}  // namespace fovea::synthesis
