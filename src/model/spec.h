// What a model computes, as a table of facts per layer. Nobody downstream asks for its name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/activation.h"
#include "kernels/kv_layout.h"

namespace fovea::model {

inline constexpr int kWholePast = 0;  // a window that never closes

// Rotation of pairs of dimensions by an angle that grows with the position.
struct Rope {
  enum class Pairing : uint8_t { half, adjacent };  // (k, k + dims/2) or (2k, 2k + 1)
  Pairing pairing = Pairing::half;
  int dims = 0;                         // rotating dimensions of a head, the first ones
  std::vector<double> frequencies;      // [dims / 2] radians per position, scaling included; 0: the pair does not turn
  std::vector<double> far_frequencies;  // likewise, instead, for contexts of more than near_tokens; empty: the same for all
  int near_tokens = 0;
  float magnitude = 1;  // cos and sin are multiplied by it
  float base = 0;       // as the file says, for people
  float scale = 1;      // likewise: factor of the scaling, 1 if none
  // Tensors [dims / 2] that divide the frequencies, and those of far_frequencies, if the file has them: complete_spec
  // (weights.h) applies them. Empty: there are none.
  std::string divisors, far_divisors;
  bool operator==(const Rope&) const = default;
};

// Keys and values of all heads from one narrow row per token, and only that row is stored: [c | k_rope] with
// k_h = [up_k_h c | k_rope] and v_h = up_v_h c. Queries are taken to the stored form (q_h up_k_h), so that attention has one
// K/V head whose values are the first kv_rank dimensions of its keys.
struct LatentSpec {
  int kv_rank = 0;    // of c; 0: attention is not latent
  int q_rank = 0;     // queries go through a narrow row too; 0: they do not
  int plain_dim = 0;  // of a head's key, without position
  int rope_dim = 0;   // and with
  int value_dim = 0;
  bool operator==(const LatentSpec&) const = default;
};

enum class HeadNorm : uint8_t {
  none,
  each_head,   // RMS norm per head on q and k, before rope
  whole_row,   // RMS norm over all heads together, before rope
  after_rope,  // per head and without weight, after rope, on layers that have one
};

struct AttentionSpec {
  int window = kWholePast;  // tokens a query sees, itself included
  int chunk = 0;            // 0: none; else a query sees keys of its own chunk of so many positions only
  int q_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float score_scale = 0;    // multiplies q.k
  float score_softcap = 0;  // 0: none; applied to scaled scores
  int rope = -1;            // index into ModelSpec::ropes; -1: no positional encoding
  HeadNorm qk_norm = HeadNorm::none;
  bool value_norm = false;  // RMS norm per head on v, without weight
  // The values are the keys' projection without norm weight and rope: that is stored once, and becomes keys as it is read.
  bool value_is_key = false;
  bool sinks = false;    // a learned score per head that takes part in the softmax and has no value
  int shares_with = -1;  // the layer whose keys and values this one reads; -1: its own
  // Queries of position p are multiplied by 1 + temperature * ln(1 + floor((p + 1) / temperature_tokens)); 0: they are not.
  float temperature = 0;
  int temperature_tokens = 0;
  LatentSpec latent;
  bool operator==(const AttentionSpec&) const = default;
};

// The form in which a layer's keys and values are stored.
struct StoredHeads {
  int kv_heads, head_dim, values_in_key;
  int turned = 0;  // dimensions that are turned as they are read
  kernels::KvLayout layout(KvCodecs codecs) const { return {codecs, kv_heads, head_dim, values_in_key, turned}; }
  bool operator==(const StoredHeads&) const = default;
};

// Dimensions of a head as they are stored where values are keys (AttentionSpec::value_is_key): those that rope turns first, the two of a
// pair beside each other, then the others. Empty for other layers.
struct StoredOrder {
  std::vector<int> order;   // stored number i is dimension order[i]
  std::vector<int> places;  // and the other way round
  int pairs = 0;            // that turn
};

using kernels::Activation;

// Some feed-forwards of a layer, chosen per token by a router.
struct ExpertsSpec {
  enum class Scores : uint8_t { softmax, sigmoid };  // of the router's logits, over all experts
  enum class GroupScore : uint8_t { best, two_best };

  int count = 0;  // 0: there are none
  int used = 0;   // per token: those with the highest scores
  int width = 0;
  Scores scores = Scores::softmax;
  bool normalized = false;          // weights are scores divided by the sum over the chosen
  float scale = 1;                  // and multiplied by this
  int groups = 1, groups_used = 1;  // experts are chosen from the best groups only
  GroupScore group_score = GroupScore::best;
  bool weighs_input = false;  // the weight multiplies what an expert reads, not what it gives
  // The router reads x / rms(x) * scale / sqrt(hidden) instead of the feed-forward's input, each expert has a factor of its own,
  // and experts and the dense feed-forward have norms of their own before and after.
  bool own_norms = false;
  bool operator==(const ExpertsSpec&) const = default;
};

struct FeedForwardSpec {
  int width = 0;  // of the dense one, which stands beside the experts where there are both; 0: there is none
  Activation activation = Activation::silu;
  float sparsity = 0;    // 0: none; else gates below mean + sparsity * deviation are cut to 0, the others lowered by as much
  bool weighed = false;  // beside experts: what the dense one gives is multiplied by sigmoid(w x)
  ExpertsSpec experts;
  bool operator==(const FeedForwardSpec&) const = default;
};

// A mixer that carries a state of fixed size instead of keys and values: selective state space, behind a causal convolution.
struct StateSpec {
  int inner = 0;                        // channels; 0: the layer has attention instead
  int conv = 0;                         // positions that the convolution spans
  int state = 0;                        // numbers per channel
  int rank = 0;                         // of the step size; 0: one step size per head, and scalar decay
  int heads = 0;                        // of the scalar form
  int groups = 1;                       // heads that share B and C
  bool inner_norms = false;             // RMS norms on step size, B and C
  float least_step = 0, most_step = 0;  // of the scalar form: the step size is kept within; most 0: no limits
  // Channels that pass through the convolution.
  int conv_channels() const { return rank > 0 ? inner : inner + 2 * groups * state; }
  int64_t floats() const { return int64_t{conv - 1} * conv_channels() + int64_t{inner} * state; }
  bool operator==(const StateSpec&) const = default;
};

// One layer: x += post(mix(norm(x))); x += post(feed_forward(norm(x))), where mix is attention or a state space.
struct LayerSpec {
  AttentionSpec attention;
  StateSpec state;
  FeedForwardSpec feed_forward;
  bool pre_norms = true;
  bool post_norms = false;     // norms on the outputs of attention and feed-forward, before they are added
  bool parallel = false;       // both read the same norm(x)
  bool scaled_output = false;  // x is multiplied by a stored number at the end
  int low_rank = 0;            // of a linear branch beside attention; 0: none
  bool operator==(const LayerSpec&) const = default;
};

// Every layer gets a vector of its own for each token: looked up, and projected from the embedding.
struct LayerInputSpec {
  int width = 0;  // 0: there are none
  int vocabulary = 0;
  bool operator==(const LayerInputSpec&) const = default;
};

// The residual stream in several versions, of which layers compute one and correct the others.
struct StreamsSpec {
  int count = 0;  // 0: one stream, as usual
  int active = 0;
  bool operator==(const StreamsSpec&) const = default;
};

enum class NormKind : uint8_t { rms, layer };

// Tensor names of this file: one entry per role, empty for a role that the family does not have. "%d" stands
// for the layer. Nested folders put prefixes before them: find them with find_tensor (tensor_lookup.h).
struct TensorNames {
  std::string embedding, final_norm, head;  // head: may be absent from the file when tied
  std::string attn_norm, q, k, v, q_norm, k_norm, attn_out, attn_post_norm;
  std::string qkv;  // instead of q, k and v: their rows one after the other
  std::string q_bias, k_bias, v_bias, attn_out_bias, sinks;
  std::string q_narrow, q_narrow_norm, kv_narrow, kv_narrow_norm;  // latent: to the narrow rows; q is from there
  std::string kv_up;                                               // [q_heads * (plain + value)][kv_rank], or
  std::string k_up, v_up;                                          // [q_heads][kv_rank][plain] and [q_heads][value][kv_rank]
  std::string ffn_norm, gate, up, down, ffn_post_norm;
  std::string gate_up;                              // instead of gate and up: their rows one after the other
  std::string shared_gate, shared_up, shared_down;  // the dense feed-forward beside experts, where it is called otherwise
  std::string dense_weight;                         // FeedForwardSpec::weighed
  // Experts: with "%e" one tensor per expert, without one for all, [count][outputs][inputs].
  std::string router, router_bias, choice_bias;
  std::string expert_gate, expert_up, expert_down, expert_gate_bias, expert_up_bias, expert_down_bias;
  std::string expert_gate_up, expert_gate_up_bias;  // both in one
  bool experts_by_input = false;                    // stored [count][inputs][outputs]
  bool expert_rows_alternate = false;               // gate and up by turns instead of one after the other
  std::string router_scale, expert_scale, expert_norm, dense_post_norm, expert_post_norm;
  std::string output_scale;
  std::string layer_input_table, layer_input_projection, layer_input_norm;  // of the model
  std::string layer_input_gate, layer_input_up, layer_input_post_norm;      // of a layer
  std::string low_rank_in, low_rank_out, low_rank_norm;
  std::string stream_in, stream_out;  // of the model; "%e" is the stream, from 0 on; without it one tensor for all
  std::string stream_router, stream_router_norm, stream_predict, stream_correct, stream_scale;
  std::string state_in, conv, conv_bias, state_projection, step, step_bias, decay, skip, state_out, state_norm;
  std::string step_norm, b_norm, c_norm;
  bool decay_is_log = false;  // decay holds log(-A) instead of A
  // Facts that only tensors tell (complete_spec): a layer without a matrix for values takes them from its keys; a layer with a
  // router has experts and no dense feed-forward, one without has none; biases of attention are there or not.
  bool values_where_found = false, experts_where_found = false, biases_where_found = false;
  std::vector<std::string> ignored;  // beginnings of names that have no part in text generation
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
  NormKind norm = NormKind::rms;
  float embedding_scale = 1;
  float residual_scale = 1;  // multiplies what attention and feed-forward add
  float logit_scale = 1;
  float final_softcap = 0;  // 0: none
  bool tied_head = false;   // a file without the head tensor takes logits from the embedding matrix. A head
                            // that is there is used; where it is absent and this is false, the file is incomplete
  std::vector<Rope> ropes;
  std::vector<LayerSpec> layers;
  LayerInputSpec layer_input;
  StreamsSpec streams;
  TensorNames names;
  bool operator==(const ModelSpec&) const = default;
};

// What the cache holds of a layer. All zero for a layer that keeps no keys and values.
StoredHeads stored_heads(const ModelSpec& spec, int layer);
StoredOrder stored_order(const ModelSpec& spec, int layer);
// The last layer that adds to the cache.
int last_storing_layer(const ModelSpec& spec);
// Pairs of dimensions that a rope turns: frequencies above zero.
int turning_pairs(const Rope& rope);

}  // namespace fovea::model
