// The numbers of a model, packed for the kernels.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "files/model_files.h"
#include "fovea/options.h"
#include "kernels/packed_matrix.h"
#include "model/spec.h"

namespace fovea::model {

// Below, norm weights, biases and matrices are empty where the layer has no such thing.

struct LatentWeights {
  kernels::PackedMatrix q_narrow;   // [q_rank][hidden]; then q is [..][q_rank]
  kernels::PackedMatrix kv_narrow;  // [kv_rank + rope_dim][hidden]
  AlignedArray<float> q_narrow_norm, kv_narrow_norm;
  std::vector<kernels::PackedMatrix> k_up;  // per head [kv_rank][plain_dim]: takes a query to the stored form
  std::vector<kernels::PackedMatrix> v_up;  // per head [value_dim][kv_rank]
};

struct ExpertWeights {
  kernels::PackedMatrix router;                          // [count][hidden]
  AlignedArray<float> router_bias, choice_bias;          // [count]
  AlignedArray<float> router_scale, expert_scale;        // [hidden], [count]
  AlignedArray<float> norm, dense_post_norm, post_norm;  // [hidden]
  AlignedArray<float> dense_weight;                      // [hidden], FeedForwardSpec::weighed
  std::vector<kernels::PackedMatrix> gate, up, down;     // per expert
  AlignedArray<float> gate_bias, up_bias, down_bias;     // [count][width], [count][width], [count][hidden]
};

struct StateWeights {
  kernels::PackedMatrix in, projection, step, out;
  AlignedArray<float> conv, conv_bias;               // [channels][conv], [channels]
  AlignedArray<float> step_bias, decay, skip, norm;  // decay: A, negative
  AlignedArray<float> step_norm, b_norm, c_norm;
};

struct LayerInputWeights {
  kernels::PackedMatrix gate, up;  // [layer input][hidden], [hidden][layer input]
  AlignedArray<float> post_norm;   // [hidden]
};

struct StreamWeights {
  AlignedArray<float> router_norm, scale;  // [hidden]
  AlignedArray<float> router;              // [streams][hidden]
  AlignedArray<float> predict, correct;    // [streams * streams][streams], [streams][streams]
};

struct LayerWeights {
  AlignedArray<float> attn_norm, attn_post_norm, ffn_norm, ffn_post_norm;  // [hidden]
  AlignedArray<float> q_norm, k_norm;                                      // [head_dim], or of the whole row
  kernels::PackedMatrix q, k, v;                                           // [q_heads * head_dim][hidden], [kv_heads * head_dim][hidden]
  AlignedArray<float> q_bias, k_bias, v_bias, attn_out_bias;
  AlignedArray<float> sinks;       // [q_heads]
  kernels::PackedMatrix attn_out;  // [hidden][q_heads * head_dim]
  kernels::PackedMatrix gate, up;  // [width][hidden]
  kernels::PackedMatrix down;      // [hidden][width]
  LatentWeights latent;
  ExpertWeights experts;
  StateWeights state;
  LayerInputWeights layer_input;
  StreamWeights streams;
  kernels::PackedMatrix low_rank_in, low_rank_out;
  AlignedArray<float> low_rank_norm;
  float output_scale = 1;
};

struct Weights {
  kernels::PanelMemory memory;                               // of all matrices
  kernels::PackedMatrix embedding;                           // [vocabulary][hidden]
  kernels::PackedMatrix head;                                // likewise; empty when the embedding is used
  AlignedArray<float> final_norm;                            // [hidden]
  kernels::PackedMatrix layer_input_table;                   // [vocabulary][layers * layer input]
  kernels::PackedMatrix layer_input_projection;              // [layers * layer input][hidden]
  AlignedArray<float> layer_input_norm;                      // [layer input]
  std::vector<kernels::PackedMatrix> stream_in, stream_out;  // per stream but the active one: [hidden][hidden]
  std::vector<LayerWeights> layers;

  const kernels::PackedMatrix& output() const { return head.empty() ? embedding : head; }
  int64_t bytes() const;  // in memory
  int64_t bytes_per_token(
      const ModelSpec& spec) const;                     // read to compute one token and its logits; of experts, the share that a token uses
  int64_t macs_per_token(const ModelSpec& spec) const;  // multiply-adds of the matrices of the layers, for one token
  int64_t stored_macs_per_token(const ModelSpec& spec) const;  // for one whose state nobody wants (forward.h)
};

// Calls visit(matrix) for every matrix of a layer that it has.
template <typename Visit> void for_each_matrix(const LayerWeights& w, Visit visit) {
  for (const kernels::PackedMatrix* m :
       {&w.q, &w.k, &w.v, &w.attn_out, &w.gate, &w.up, &w.down, &w.latent.q_narrow, &w.latent.kv_narrow, &w.experts.router, &w.state.in,
        &w.state.projection, &w.state.step, &w.state.out, &w.layer_input.gate, &w.layer_input.up, &w.low_rank_in, &w.low_rank_out}) {
    if (!m->empty()) visit(*m);
  }
  for (const auto* many : {&w.latent.k_up, &w.latent.v_up, &w.experts.gate, &w.experts.up, &w.experts.down}) {
    for (const kernels::PackedMatrix& m : *many) visit(m);
  }
}

// Completes the spec where only tensors tell: divisors of ropes, which layers have experts, or values of their own.
void complete_spec(ModelSpec& spec, const files::TensorTable& tensors);

// Packs every tensor that the spec names; completes the spec (complete_spec, vocabulary).
// Each tensor's pages in the file are given back to the system once it is packed.
// errors  Error for a tensor that is missing or has another shape than the spec says; Stopped when progress said so
Weights load_weights(ModelSpec& spec, const files::ModelFiles& files, ThreadPool& pool, const Progress& progress);

}  // namespace fovea::model
