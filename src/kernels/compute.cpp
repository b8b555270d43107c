#include "kernels/compute.h"

namespace fovea::kernels {
namespace {

size_t whole_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

Compute::Places Compute::places_for(const ComputeLimits& limits, int threads) {
  const int stride = (limits.head_dim + 15) / 16 * 16;
  const size_t state_bytes = span_state_floats(stride) * sizeof(float);
  const size_t attention_bytes = attention_scratch_bytes() + unfolded_span_bytes(limits.head_dim) + whole_lines(state_bytes) +
                                 kTilesTogether * (arranged_query_bytes(limits.head_dim) + whole_lines(state_bytes));
  Places places;
  const size_t made_rows_bytes = static_cast<size_t>(kTileRows) * static_cast<size_t>(limits.inputs) * sizeof(float);
  places.thread_bytes = whole_lines(std::max({attention_bytes, widened_panel_bytes(limits.inputs), made_rows_bytes}));
  places.quant_at = places.thread_bytes * static_cast<size_t>(threads);
  places.plain_at = places.quant_at + whole_lines(limits.quantized ? quant_tiles_bytes(limits.rows, limits.inputs) : 0);
  places.states_at = places.plain_at + whole_lines(limits.plain ? plain_tiles_bytes(limits.rows, limits.inputs) : 0);
  places.queries_at = places.states_at + whole_lines(kSpanStates * state_bytes);
  places.end = places.queries_at + arranged_query_bytes(limits.head_dim);
  return places;
}

size_t Compute::scratch_bytes(const ComputeLimits& limits, int threads) { return places_for(limits, threads).end; }

Compute::Compute(const KernelSet& set, ThreadPool& pool, const ComputeLimits& limits)
    : set_(&set), pool_(&pool), places_(places_for(limits, pool.threads())), most_rows_(limits.rows), memory_(places_.end) {}

}  // namespace fovea::kernels
