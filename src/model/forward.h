// The forward pass over a ragged batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/large_bytes.h"
#include "kernels/attention.h"
#include "kernels/compute.h"
#include "kernels/row_ops.h"
#include "kv/cache.h"
#include "model/part_times.h"
#include "model/spec.h"
#include "model/weights.h"

namespace fovea::model {

// Rows that are computed together: some sequences add a chunk of their prompt, others one token each.
struct Batch {
  std::vector<int32_t> tokens;                   // one per row
  std::vector<int32_t> positions;                // likewise
  std::vector<kernels::SequenceRows> sequences;  // which rows belong together, ascending and without gaps
  std::vector<kv::SequenceId> ids;               // their sequences in the cache, room reserved

  int rows() const { return static_cast<int>(tokens.size()); }
  void clear();
  // Appends the next tokens of a sequence, the first of them at `position`.
  void add(kv::SequenceId id, int position, std::span<const int32_t> more);
};

// Groups of layers as the cache is to hold them: layers with the same window and shape together; then, of those with narrow keys,
// the newest tokens (EngineOptions::kv_newest_tokens).
std::vector<kv::GroupSpec> kv_groups(const ModelSpec& spec, KvCodecs local, KvCodecs global, int newest_tokens = 0);
std::vector<kv::GroupSpec> kv_groups(const ModelSpec& spec, const EngineOptions& options);

// Memory of a step, reserved once for the largest batch. Parts that a model does not need are empty.
class Scratch {
 public:
  static constexpr int kLogitRows = 48;  // rows whose logits are computed at a time: 4 tiles

  // context_tokens  the longest sequence; ropes that differ for long contexts go by it
  Scratch(const ModelSpec& spec, int max_rows, int context_tokens = 0);
  size_t bytes() const { return memory_.size(); }
  static size_t bytes_for(const ModelSpec& spec, int max_rows);  // what the constructor reserves

  kernels::Rows x, h;                                                 // [rows][hidden]: residual stream; normed or projected
  kernels::Rows side;                                                 // [rows][hidden]: what is added beside h
  kernels::Rows q, k, v, mix;                                         // [rows][widest q or kv]: heads; mix is what attention gathered
  kernels::Rows stored_q, stored_k;                                   // heads in the form of the cache, where that is another
  kernels::Rows q_narrow, kv_narrow;                                  // latent attention
  kernels::Rows gate, up;                                             // [rows][widest feed-forward]
  kernels::Rows router, expert_x, expert_in, expert_out, expert_sum;  // [rows][experts]; [rows][hidden]
  kernels::Rows projected, convolved, step, step_in;                  // state space
  kernels::Rows layer_inputs, layer_lookups;                          // [rows][layers * layer input]
  std::vector<kernels::Rows> streams, predictions;                    // per stream [rows][hidden]
  kernels::Rows logits;                                               // [kLogitRows][vocabulary]
  std::vector<float*> cosines, sines;                                 // per rope: [rows][dims / 2]
  std::vector<float*> key_angles;                // per rope: kernels::KeyTurning::tables, if keys are turned by it as they are read
  float* key_weights = nullptr;                  // of the keys of a layer, in their stored order
  std::vector<StoredOrder> stored_orders;        // per layer
  std::vector<kernels::KvPages> pages;           // per sequence
  std::vector<kernels::KvPages> newest_pages;    // likewise, of the newest tokens, where the layer keeps them apart
  std::vector<kernels::AttendedPages> attended;  // likewise, where eviction goes by it
  std::vector<kernels::SequenceRows> places;     // likewise: its rows, with positions as the layer's pages count them
  std::vector<int> chosen, order, begins;        // of experts: [rows * used]; by expert; [experts + 1]
  std::vector<float> shares;                     // weight of each chosen
  std::vector<AlignedArray<float>> key_shifts;   // per layer: added to every key that is stored (key_shifts.h); empty: nothing is
  Batch wanted;                                  // of the rows that go through all layers, where those are not all
  int context_tokens;
  PartTimes times;  // of all steps so far

 private:
  Scratch() = default;
  size_t lay_out(const ModelSpec& spec, int max_rows, float* base);  // bytes; base may be null, to count them

  LargeBytes memory_;
};

// Which forms of activations the matrices of a model are multiplied with.
struct MatrixForms {
  bool quantized = false, plain = false;
};
MatrixForms matrix_forms(const Weights& weights);

kernels::ComputeLimits compute_limits(const ModelSpec& spec, MatrixForms forms, int max_rows);

// Runs all layers; K/V of the batch are written to the cache (commit is the caller's).
// wanted  rows whose states somebody wants, ascending: the first wanted.size() rows of scratch.x are what the last layer gives for them.
//         Other rows go only as far as the last layer that stores something needs them; no bit of the wanted ones depends on it.
// REQUIRES batch.rows() within the scratch, positions reserved in the cache.
void forward(const ModelSpec& spec, const Weights& weights, const Batch& batch, std::span<const int> wanted, const kv::Cache& cache,
             kernels::Compute& compute, Scratch& scratch);

// Logits of wanted rows first .. first + count - 1 of the last forward, into the first rows of scratch.logits.
// REQUIRES count <= kLogitRows.
void project_logits(const ModelSpec& spec, const Weights& weights, int first, int count, kernels::Compute& compute, Scratch& scratch);

// States of wanted rows of the last forward after the last norm, what logits are projected from; into the first rows of scratch.h.
kernels::Rows final_states(const ModelSpec& spec, const Weights& weights, int first, int count, kernels::Compute& compute,
                           Scratch& scratch);

}  // namespace fovea::model
