// Ways to keep state, side by side for the dimensions of one model.
#include <fmt/format.h>

#include <algorithm>

#include "planner/planner.h"

namespace fovea {
namespace {

using planner::LayerKind;
using planner::LayerRow;
using planner::LayerTable;

// Sizes that the model does not say: those of the published models that introduced each kind.
constexpr int kUsualQueriesPerKv = 4;
constexpr int kLatentValues = 512 + 64;  // compressed keys and values, and the rotated part of keys
constexpr int kStateExpansion = 2, kStateSize = 16, kStateConvolution = 4;
constexpr int kLocalPerGlobal = 5;

struct Dimensions {
  int q_heads = 0, head_dim = 0, grouped_heads = 0, window = 1024;
};

Dimensions dimensions_of(const LayerTable& table) {
  Dimensions d;
  for (const LayerRow& row : table.layers) {
    if (row.kind == LayerKind::local && row.window > 0) d.window = row.window;
    if (!row.has_heads() && row.kind != LayerKind::latent) continue;
    d.q_heads = std::max(d.q_heads, row.q_heads);
    if (d.head_dim == 0) d.head_dim = row.head_dim;
    if (row.kv_heads > 1 && row.kv_heads < row.q_heads && d.grouped_heads == 0) d.grouped_heads = row.kv_heads;
  }
  d.q_heads = std::max(d.q_heads, 1);
  if (d.grouped_heads == 0) d.grouped_heads = std::max(1, d.q_heads / kUsualQueriesPerKv);
  return d;
}

class KindTable {
 public:
  KindTable(const LayerTable& table, const PlanOptions& options)
      : table_(table),
        options_(options),
        d_(dimensions_of(table)),
        global_({.q_heads = d_.q_heads, .kv_heads = d_.grouped_heads, .head_dim = d_.head_dim}) {
    options_.what_if = {};
    table_.spec.reset();
    local_ = global_;
    local_.kind = LayerKind::local;
    local_.window = d_.window;
  }

  std::vector<AttentionKindRow> rows() {
    LayerRow row = global_;
    row.kv_heads = d_.q_heads;
    add("MHA", fmt::format("all global, {} K/V heads", row.kv_heads), row, row);
    add("GQA", fmt::format("all global, {} K/V heads", d_.grouped_heads), global_, global_);
    row.kv_heads = 1;
    add("MQA", "all global, 1 K/V head", row, row);
    row = global_;
    row.kind = LayerKind::latent;
    row.latent_values = kLatentValues;
    add("MLA", fmt::format("{} compressed numbers per token", kLatentValues), row, row);
    add("window", fmt::format("all local, window {}", d_.window), local_, local_);
    const std::string hybrid = fmt::format("{} local : 1 global", kLocalPerGlobal);
    add("hybrid", hybrid, local_, global_);
    row = global_;
    row.one_stream = true;
    add("hybrid, K=V", hybrid + ", global layers keep one stream", local_, row);
    add("hybrid, shared", hybrid + ", the second half reads the first", local_, global_, true);
    row = global_;
    row.kind = LayerKind::state;
    row.state_values = int64_t{kStateExpansion} * table_.hidden * (kStateSize + kStateConvolution - 1);
    add("recurrent", fmt::format("state of {} x {} per layer", kStateExpansion * table_.hidden, kStateSize), row, row);
    return std::move(rows_);
  }

 private:
  void add(const char* name, std::string what, const LayerRow& local, const LayerRow& global, bool shared = false) {
    LayerTable table = table_;
    const int layers = static_cast<int>(table.layers.size());
    for (int i = 0; i < layers; ++i) {
      LayerRow& row = table.layers[static_cast<size_t>(i)];
      const int width = row.feed_forward_width;
      row = (i + 1) % (kLocalPerGlobal + 1) == 0 ? global : local;
      row.feed_forward_width = width;
    }
    PlanOptions options = options_;
    if (shared) options.what_if.shared_kv_layers = layers / 2;
    rows_.push_back({name, std::move(what), planner::make_plan(table, options)});
  }

  LayerTable table_;
  PlanOptions options_;
  Dimensions d_;
  LayerRow global_, local_;
  std::vector<AttentionKindRow> rows_;
};

}  // namespace

std::vector<AttentionKindRow> Planner::attention_kinds(const PlanOptions& options) const {
  return KindTable(state_->table, options).rows();
}

}  // namespace fovea
