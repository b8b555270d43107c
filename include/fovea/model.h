// A model: its facts, its text side (tokenizer, chat template) and, once loaded, its weights.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/chat.h"
#include "fovea/options.h"

namespace fovea {

struct LayerFacts {
  int index = 0;
  // "local" (sliding window), "global", "chunked", "latent" (one narrow row stands for the keys and values of all heads) or
  // "state" (a state of fixed size instead of keys and values)
  std::string kind;
  std::optional<int> window;  // tokens a query sees at most, itself included; none: the whole past
  int q_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float rope_base = 0;                // 0: no positional encoding
  int rope_dims = 0;                  // dimensions of a head that rotate
  float rope_scale = 1;               // positions are divided by this
  int64_t cache_bytes_per_token = 0;  // K and V of one position, with f16
  std::optional<int> shares_with;     // index of the layer whose K/V this one reads
  int64_t state_bytes = 0;            // of a sequence, whatever its length
  bool values_in_keys = false;        // values are part of what is stored as keys
  bool sinks = false;                 // a learned score per head without a value
  float score_softcap = 0;            // 0: none
  int experts = 0, experts_used = 0;  // in all, and per token
};

struct TensorTotals {
  int64_t tensors = 0, values = 0, bytes = 0;
};

// What can be known without reading weights.
struct ModelFacts {
  std::string path;
  std::string family;      // "gemma3", "llama"
  std::string name;        // as the file calls itself; may be empty
  int context_tokens = 0;  // the longest context it was made for
  int vocabulary = 0;
  int hidden = 0;               // width of the residual stream
  bool tied_embeddings = true;  // logits come from the embedding matrix; false: from a matrix of its own
  std::vector<LayerFacts> layers;
  std::map<std::string, TensorTotals> tensors_by_format;  // "q4_k" -> how many, how big
  TensorTotals tensors;
};

// Reads headers only. errors: Error for anything that is not a model this engine runs.
ModelFacts inspect_model(const std::string& path);

// owner    shared, immutable after load(); weights are freed with the last reference
// threads  every method may be called from several threads at once
class Model {
 public:
  // path: a .gguf file, or a folder with config.json and safetensors.
  // errors: Error (what is wrong, where, how to mend it); Stopped when progress said so
  static std::shared_ptr<const Model> load(const std::string& path, const LoadOptions& options = {});
  // Only the text side: tokenizer and template, no weights.
  static std::shared_ptr<const Model> load_text(const std::string& path);
  ~Model();

  const ModelFacts& facts() const;
  std::string_view kernels() const;  // instruction set in use
  int64_t weights_bytes() const;     // in memory, packed
  int64_t bytes_per_token() const;   // of weights, read to compute one token and its logits; of experts, those it is sent to
  int64_t macs_per_token() const;    // multiply-adds of the layers' matrices for one token, likewise
  // ... for a token of a prompt whose logits nobody wants: the last layer that stores something makes its keys and values, no more.
  int64_t stored_macs_per_token() const;

  bool has_tokenizer() const;
  // The methods below throw Error when the model has no tokenizer (or no template).
  std::vector<int32_t> tokenize(std::string_view text, bool add_bos = true, bool parse_special = false) const;
  std::string detokenize(std::span<const int32_t> tokens, bool show_special = false) const;
  std::string token_bytes(int32_t token) const;  // of one token, which may be part of a code point; a control token's name
  std::optional<int32_t> bos() const;
  const std::vector<int32_t>& end_tokens() const;
  bool has_chat_template() const;
  // Ends where the assistant is to speak. tools: that it may call, a JSON list in OpenAI's form; a template that does not know of tools
  // is told of them in text.
  std::string render_chat(const std::vector<ChatTurn>& turns, std::string_view tools = "") const;
  ToolCallForm tool_call_form() const;

  // Tokens -> text as they come, never ending inside a code point.
  class TextStream {
   public:
    explicit TextStream(std::shared_ptr<const Model> model, bool show_special = false);
    ~TextStream();
    TextStream(TextStream&&) noexcept;
    TextStream& operator=(TextStream&&) noexcept;
    std::string push(int32_t token);
    std::string finish();

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

  struct State;  // the engine's side
  const State& state() const { return *state_; }

 private:
  explicit Model(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fovea
