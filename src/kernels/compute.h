// What a computation runs on: an instruction set, threads, and a piece of scratch memory per thread.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/large_bytes.h"
#include "base/thread_pool.h"
#include "kernels/kernel_set.h"

namespace fovea::kernels {

// Tiles of queries that a thread takes through their keys together, so that a span is read from memory once for all of them.
inline constexpr int kTilesTogether = 4;

// The largest shapes that will be asked for; they decide how much scratch memory is reserved.
struct ComputeLimits {
  int rows = 0;    // of activations in one step
  int inputs = 0;  // of any matrix
  int head_dim = 0;
  bool quantized = true, plain = true;  // which forms of activations are needed
};

// owner    the scratch memory; set and pool must outlive it
// threads  used by one computation at a time
class Compute {
 public:
  Compute(const KernelSet& set, ThreadPool& pool, const ComputeLimits& limits);

  // Scratch memory that the constructor reserves for so many threads.
  static size_t scratch_bytes(const ComputeLimits& limits, int threads);

  const KernelSet& set() const { return *set_; }
  ThreadPool& pool() const { return *pool_; }
  std::byte* scratch(int thread) { return memory_.data() + static_cast<size_t>(thread) * places_.thread_bytes; }
  QuantBlock* quant_tiles() { return reinterpret_cast<QuantBlock*>(memory_.data() + places_.quant_at); }
  float* plain_tiles() { return reinterpret_cast<float*>(memory_.data() + places_.plain_at); }
  // Room for span_states() results of attending to one span.
  float* span_states() { return reinterpret_cast<float*>(memory_.data() + places_.states_at); }
  int span_state_count() const { return kSpanStates; }
  // Room for the arranged queries of a tile that threads share.
  std::byte* arranged_queries() { return memory_.data() + places_.queries_at; }
  size_t bytes() const { return memory_.size(); }
  int most_rows() const { return most_rows_; }  // that tiles have room for

  // Runs work(begin, end) over [0, rows), in pieces of at least `grain` rows, on this thread alone if that is all there is.
  template <typename Work> void for_rows(int rows, int grain, Work&& work) const {
    const int pieces = std::clamp(rows / std::max(1, grain), 1, 4 * pool_->threads());
    pool_->run(pieces, [&](int piece, int) {
      const auto at = [&](int i) { return static_cast<int>(static_cast<int64_t>(rows) * i / pieces); };
      work(at(piece), at(piece + 1));
    });
  }

 private:
  static constexpr int kSpanStates = 256;

  struct Places {
    size_t thread_bytes = 0, quant_at = 0, plain_at = 0, states_at = 0, queries_at = 0, end = 0;
  };
  static Places places_for(const ComputeLimits& limits, int threads);

  const KernelSet* set_;
  ThreadPool* pool_;
  Places places_;
  int most_rows_;
  LargeBytes memory_;
};

// Floats of one result of attending to a span: sums, maxima and weights of a tile's rows.
constexpr size_t span_state_floats(int value_stride) { return static_cast<size_t>(kTileRows) * (static_cast<size_t>(value_stride) + 2); }

}  // namespace fovea::kernels
