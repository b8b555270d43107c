#include "planner/scratch_plan.h"

#include <algorithm>

#include "kernels/compute.h"
#include "model/forward.h"

namespace fovea::planner {
namespace {

// The sizes that scratch memory follows from, for models that no family has read.
model::ModelSpec sizes_of(const LayerTable& table) {
  model::ModelSpec spec;
  spec.vocabulary = table.vocabulary;
  spec.hidden = table.hidden;
  int widest_head = 0;
  for (const LayerRow& row : table.layers) {
    model::LayerSpec layer;
    layer.attention.q_heads = row.q_heads;
    layer.attention.kv_heads = row.kv_heads;
    layer.attention.head_dim = row.head_dim;
    layer.feed_forward.width = row.feed_forward_width;
    widest_head = std::max(widest_head, row.head_dim);
    spec.layers.push_back(layer);
  }
  model::Rope rope;
  rope.dims = widest_head;
  const bool two_kinds =
      std::any_of(table.layers.begin(), table.layers.end(), [](const LayerRow& row) { return row.kind == LayerKind::local; });
  spec.ropes.assign(two_kinds ? 2 : 1, rope);
  return spec;
}

model::MatrixForms forms_of(const LayerTable& table) {
  model::MatrixForms forms;
  for (const WeightRow& row : table.weights) {
    if (row.is_vector() || (row.kind == WeightKind::embedding && !table.tied_head)) continue;
    (kernels::is_quantized(row.format) ? forms.quantized : forms.plain) = true;
  }
  return forms;
}

}  // namespace

int64_t plan_scratch(const LayerTable& table, const PlanOptions& options) {
  model::ModelSpec spec = table.spec ? *table.spec : sizes_of(table);
  spec.vocabulary = table.vocabulary;
  const kernels::ComputeLimits limits = compute_limits(spec, forms_of(table), options.chunk_tokens);
  return static_cast<int64_t>(model::Scratch::bytes_for(spec, options.chunk_tokens) +
                              kernels::Compute::scratch_bytes(limits, options.threads));
}

}  // namespace fovea::planner
