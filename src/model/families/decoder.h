// What every decoder-only transformer states about itself, read and checked once for all families.
#pragma once

#include <vector>

#include "model/families/config_view.h"
#include "model/spec.h"

namespace fovea::model {

// What transformers' configuration class assumes for keys that config.json leaves out: nested files omit
// every key that equals it.
struct HuggingFaceDefaults {
  int vocabulary = 0;
  int hidden = 0;
  int width = 0;
  int layers = 0;
  int q_heads = 0;
  int kv_heads = 0;  // 0: as many as q_heads
  int head_dim = 0;  // 0: hidden / q_heads
  int context_tokens = 0;
  float norm_eps = 0;
};

// A spec with family, name, vocabulary, hidden, context_tokens, norm_eps, heads and widths of every layer,
// score_scale head_dim^-0.5 and the tensor names of a plain pre-norm decoder; the rest as spec.h defaults it.
// The family adds what sets it apart.
ModelSpec gguf_decoder(const ConfigView& file, const char* family);
ModelSpec hugging_face_decoder(const ConfigView& file, const char* family,
                               const HuggingFaceDefaults& defaults);

// Whether the head may be the embedding matrix, as the language model or the whole around it says.
bool hugging_face_tied_head(const ConfigView& file, bool fallback);

// Refuses every activation but `expected` (transformers' name), which is also assumed when the key is absent.
void require_activation(const ConfigView& file, std::string_view name, std::string_view expected);

}  // namespace fovea::model
