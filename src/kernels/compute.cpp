#include "kernels/compute.h"

namespace fovea::kernels {
namespace {

size_t whole_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

Compute::Compute(const KernelSet& set, ThreadPool& pool, const ComputeLimits& limits) : set_(&set), pool_(&pool) {
  const int stride = (limits.head_dim + 15) / 16 * 16;
  const size_t state_bytes = span_state_floats(stride) * sizeof(float);
  const size_t attention_bytes = attention_scratch_bytes() + whole_lines(state_bytes) +
                                 kTilesTogether * (arranged_query_bytes(limits.head_dim) + whole_lines(state_bytes));
  thread_bytes_ = whole_lines(std::max(attention_bytes, widened_panel_bytes(limits.inputs)));

  quant_at_ = thread_bytes_ * static_cast<size_t>(pool.threads());
  plain_at_ = quant_at_ + whole_lines(limits.quantized ? quant_tiles_bytes(limits.rows, limits.inputs) : 0);
  states_at_ = plain_at_ + whole_lines(limits.plain ? plain_tiles_bytes(limits.rows, limits.inputs) : 0);
  queries_at_ = states_at_ + whole_lines(kSpanStates * state_bytes);
  memory_ = LargeBytes(queries_at_ + arranged_query_bytes(limits.head_dim));
}

}  // namespace fovea::kernels
