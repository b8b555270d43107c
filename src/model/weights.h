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

// Norm weights are empty where the layer has no such norm.
struct LayerWeights {
  AlignedArray<float> attn_norm, attn_post_norm, ffn_norm, ffn_post_norm;  // [hidden]
  AlignedArray<float> q_norm, k_norm;                                      // [head_dim]
  kernels::PackedMatrix q, k, v;   // [q_heads * head_dim][hidden], [kv_heads * head_dim][hidden]
  kernels::PackedMatrix attn_out;  // [hidden][q_heads * head_dim]
  kernels::PackedMatrix gate, up;  // [width][hidden]
  kernels::PackedMatrix down;      // [hidden][width]
};

struct Weights {
  kernels::PanelMemory memory;      // of all matrices
  kernels::PackedMatrix embedding;  // [vocabulary][hidden]
  kernels::PackedMatrix head;       // likewise; empty when the embedding is used
  AlignedArray<float> final_norm;   // [hidden]
  std::vector<LayerWeights> layers;

  const kernels::PackedMatrix& output() const { return head.empty() ? embedding : head; }
  int64_t bytes() const;           // in memory
  int64_t bytes_per_token() const; // read to compute one token and its logits
  int64_t macs_per_token() const;  // multiply-adds of the matrices of the layers, for one token
};

// Whether the language model of a file owns this tensor: files may hold more (images, sound), and tables that
// are computed instead of read.
bool is_text_tensor(std::string_view name);

// Packs every tensor that the spec names; completes the spec where only tensors tell (vocabulary, rope divisors).
// Each tensor's pages in the file are given back to the system once it is packed.
// errors  Error for a tensor that is missing or has another shape than the spec says; Stopped when progress said so
Weights load_weights(ModelSpec& spec, const files::ModelFiles& files, ThreadPool& pool, const Progress& progress);

}  // namespace fovea::model
