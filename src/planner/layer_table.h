// What a plan is made from: a plain table of layers and matrices. Files, configurations and built-in facts
// become this table; nothing behind it asks where a row came from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/number_format.h"
#include "model/spec.h"
#include "synthesis/quantization.h"

namespace fovea::planner {

enum class LayerKind : uint8_t { global, local, chunked, latent, state };
std::string_view name_of(LayerKind kind);

// What one layer keeps, and how wide it computes.
struct LayerRow {
  LayerKind kind = LayerKind::global;
  int window = 0;  // tokens, of local and chunked layers
  int q_heads = 0, kv_heads = 0, head_dim = 0;
  bool one_stream = false;     // K = V: one stream is kept
  int turned = 0;              // dimensions of one stream that rope turns as they are read: in narrow codecs they have a scale of their own
  int shares_with = -1;        // reads the K/V of this earlier layer and keeps none
  int latent_values = 0;       // per token, of latent layers
  int latent_rank = 0;         // of these, the values that are weighted; 0: not known
  int64_t state_values = 0;    // per sequence, of state layers (f32)
  int feed_forward_width = 0;  // of what one token computes

  bool keeps_state() const { return shares_with < 0; }
  bool has_heads() const { return kind != LayerKind::latent && kind != LayerKind::state; }
};

enum class WeightKind : uint8_t { embedding, output, attention, feed_forward, experts, per_layer_embedding, recurrent, norms, other };
inline constexpr int kWeightKinds = 9;
std::string_view name_of(WeightKind kind);

// `count` equal matrices [outputs][inputs]; a vector has no outputs.
struct WeightRow {
  WeightKind kind = WeightKind::other;
  synthesis::Role role = synthesis::Role::q;  // decides the format in a mixture, and what a changed layer keeps
  int layer = -1;
  int64_t outputs = 0, inputs = 0;
  int count = 1, read = 1;  // matrices, and how many of them one token reads
  NumberFormat format = NumberFormat::bf16;

  bool is_vector() const { return outputs == 0; }
  int64_t values() const { return (is_vector() ? 1 : outputs) * inputs * count; }
};

// Measured (docs/planner.md): what tokenizers keep per token. Byte-level ones have a list of merges beside
// the tokens.
inline constexpr int kPieceTokenBytes = 72, kByteLevelTokenBytes = 430;
// Likewise: what a vocabulary sorted for grammars keeps (325 of 262,144 pieces, 160 of 49,152).
inline constexpr int kGrammarTokenBytes = 330;

struct LayerTable {
  std::string name, family, source;
  int vocabulary = 0, hidden = 0, context_tokens = 0;
  bool tied_head = true;
  int vocabulary_token_bytes = 0;  // resident memory of the tokenizer, per token
  std::vector<LayerRow> layers;
  std::vector<WeightRow> weights;
  bool formats_known = false;             // the weights' formats are those of a file
  std::optional<model::ModelSpec> spec;   // of a family that this engine computes
  std::vector<std::string> not_computed;  // why this engine does not run it
};

}  // namespace fovea::planner
