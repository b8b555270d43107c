// What a model computes, as a table of facts per layer. Nobody downstream asks for its name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/activation.h"

namespace fovea::model {

inline constexpr int kWholePast = 0;  // a window that never closes

// Rotation of pairs of dimensions by an angle that grows with the position.
struct Rope {
  enum class Pairing : uint8_t { half, adjacent };  // (k, k + dims/2) or (2k, 2k + 1)
  Pairing pairing = Pairing::half;
  int dims = 0;                     // rotating dimensions of a head, the first ones
  std::vector<double> frequencies;  // [dims / 2] radians per position, scaling included
  float magnitude = 1;              // cos and sin are multiplied by it
  float base = 0;                   // as the file says, for people
  float scale = 1;                  // likewise: factor of the scaling, 1 if none
  std::string divisors;  // tensor [dims / 2] that divides the frequencies, if the file has it: whoever
                         // loads the weights calls apply_divisors (rope.h). Empty: there is none
  bool operator==(const Rope&) const = default;
};

struct AttentionSpec {
  int window = kWholePast;  // tokens a query sees, itself included
  int q_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float score_scale = 0;  // multiplies q.k
  int rope = -1;          // index into ModelSpec::ropes; -1: no positional encoding
  bool qk_norm = false;   // RMS norm per head on q and k before rope
  bool operator==(const AttentionSpec&) const = default;
};

using kernels::Activation;

struct FeedForwardSpec {
  int width = 0;
  Activation activation = Activation::silu;
  bool operator==(const FeedForwardSpec&) const = default;
};

// One layer: x += post(attention(norm(x))); x += post(feed_forward(norm(x))).
struct LayerSpec {
  AttentionSpec attention;
  FeedForwardSpec feed_forward;
  bool post_norms = false;  // RMS norms on the outputs of attention and feed-forward, before they are added
  bool operator==(const LayerSpec&) const = default;
};

// Tensor names of this file: one entry per role, empty for a role that the family does not have. "%d" stands
// for the layer. Nested folders put prefixes before them: find them with find_tensor (tensor_lookup.h).
struct TensorNames {
  std::string embedding, final_norm, head;  // head: may be absent from the file when tied
  std::string attn_norm, q, k, v, q_norm, k_norm, attn_out, attn_post_norm;
  std::string ffn_norm, gate, up, down, ffn_post_norm;
  bool operator==(const TensorNames&) const = default;
};

struct ModelSpec {
  std::string family;  // for people
  std::string name;    // as the file calls itself, or the file's own name
  int vocabulary = 0;  // rows of the embedding tensor; 0: the metadata does not say, ask the tensor
  int hidden = 0;
  int context_tokens = 0;  // the longest context it was made for
  float norm_eps = 1e-6f;
  float norm_weight_offset = 0;  // added to every RMS norm weight at load (files that store w - 1)
  float embedding_scale = 1;
  float final_softcap = 0;  // 0: none
  bool tied_head =
      false;  // a file without the head tensor takes logits from the embedding matrix. A head
              // that is there is used; where it is absent and this is false, the file is incomplete
  std::vector<Rope> ropes;
  std::vector<LayerSpec> layers;
  TensorNames names;
  bool operator==(const ModelSpec&) const = default;
};

}  // namespace fovea::model
