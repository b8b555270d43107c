#include "planner/configuration.h"

#include <algorithm>

#include "model/registry.h"
#include "planner/table_from_files.h"

namespace fovea::planner {
namespace {

bool is_recurrent(const Configuration& c, int layer) { return c.state_period > 0 && layer % c.state_period != c.state_attention; }

bool has_experts(const Configuration& c, int layer) {
  const Experts& e = c.experts;
  return e.count > 0 && layer >= e.first_layer && (layer - e.first_layer) % e.every == 0;
}

// The last layer of the same kind that keeps its own.
int donor_of(const Configuration& c, const std::vector<bool>& global, int layer) {
  const int first_shared = c.layers - c.shared_kv_layers;
  if (layer < first_shared) return -1;
  int donor = first_shared - 1;
  while (donor >= 0 && global[static_cast<size_t>(donor)] != global[static_cast<size_t>(layer)]) --donor;
  return donor;
}

LayerRow row_of(const Configuration& c, const std::vector<bool>& global, int layer) {
  const bool is_global = global[static_cast<size_t>(layer)];
  LayerRow row;
  row.q_heads = c.q_heads;
  row.shares_with = donor_of(c, global, layer);
  row.feed_forward_width = c.double_width_when_shared && row.shares_with >= 0 ? 2 * c.width : c.width;
  if (has_experts(c, layer) && !c.experts.beside_dense) row.feed_forward_width = 0;
  const Heads& heads = is_global ? c.global : c.local;
  row.kv_heads = heads.kv_heads;
  row.head_dim = heads.head_dim;
  if (is_recurrent(c, layer)) {
    row.kind = LayerKind::state;
    row.state_values = int64_t{c.state_width} * (c.state_conv - 1) + int64_t{c.state_width} * c.state_size;
  } else if (c.latent > 0) {
    row.kind = LayerKind::latent;
    row.latent_values = c.latent;
  } else if (!is_global) {
    row.kind = LayerKind::local;
    row.window = c.window;
  }
  return row;
}

class MatrixList {
 public:
  MatrixList(const Configuration& c, const std::vector<bool>& global, LayerTable& table) : c_(c), global_(global), table_(table) {}

  // What the plain decoder's list lacks.
  void add_special() {
    for (int layer = 0; layer < c_.layers; ++layer) {
      const LayerRow& row = table_.layers[static_cast<size_t>(layer)];
      if (row.kind == LayerKind::latent) add_latent(layer);
      if (row.kind == LayerKind::state) add_recurrent(layer);
      if (has_experts(c_, layer)) add_experts(layer);
      if (c_.per_layer_embedding > 0) {
        add(WeightKind::per_layer_embedding, layer, c_.per_layer_embedding, c_.hidden);
        add(WeightKind::per_layer_embedding, layer, c_.hidden, c_.per_layer_embedding);
      }
    }
    if (c_.per_layer_embedding > 0) {
      const int64_t all = int64_t{c_.layers} * c_.per_layer_embedding;
      add(WeightKind::per_layer_embedding, -1, all, c_.hidden);
      add(WeightKind::per_layer_embedding, -1, c_.vocabulary, all, 1, 0);  // one row is looked up
    }
    if (c_.k_is_v) drop_values_of_global_layers();
  }

 private:
  void add(WeightKind kind, int layer, int64_t outputs, int64_t inputs, int count = 1, int read = 1) {
    table_.weights.push_back(
        {.kind = kind, .role = synthesis::Role::q, .layer = layer, .outputs = outputs, .inputs = inputs, .count = count, .read = read});
  }

  void add_latent(int layer) {
    const int64_t heads = c_.q_heads, q = heads * (c_.nope + c_.rope), values = heads * c_.global.head_dim;
    add(WeightKind::attention, layer, c_.q_rank, c_.hidden);
    add(WeightKind::attention, layer, q, c_.q_rank);
    add(WeightKind::attention, layer, c_.latent, c_.hidden);
    add(WeightKind::attention, layer, heads * (c_.nope + c_.global.head_dim), c_.latent_rank);
    add(WeightKind::attention, layer, c_.hidden, values);
  }

  void add_recurrent(int layer) {
    const int64_t width = c_.state_width, time_rank = (c_.hidden + 15) / 16;
    add(WeightKind::recurrent, layer, 2 * width, c_.hidden);
    add(WeightKind::recurrent, layer, time_rank + 2 * c_.state_size, width);
    add(WeightKind::recurrent, layer, width, time_rank);
    add(WeightKind::recurrent, layer, c_.hidden, width);
    add(WeightKind::recurrent, layer, 0, width * (c_.state_size + c_.state_conv + 2));
  }

  void add_experts(int layer) {
    const Experts& e = c_.experts;
    add(WeightKind::experts, layer, 2 * e.width, c_.hidden, e.count, e.used);
    add(WeightKind::experts, layer, c_.hidden, e.width, e.count, e.used);
    add(WeightKind::experts, layer, e.count, c_.hidden);  // router
    if (e.shared_width == 0) return;
    add(WeightKind::feed_forward, layer, 2 * e.shared_width, c_.hidden);
    add(WeightKind::feed_forward, layer, c_.hidden, e.shared_width);
  }

  void drop_values_of_global_layers() {
    std::erase_if(table_.weights, [&](const WeightRow& row) {
      return row.kind == WeightKind::attention && row.role == synthesis::Role::v && row.layer >= 0 &&
             global_[static_cast<size_t>(row.layer)];
    });
  }

  const Configuration& c_;
  const std::vector<bool>& global_;
  LayerTable& table_;
};

bool is_computed(std::string_view family) {
  const auto& families = model::families();
  return std::any_of(families.begin(), families.end(), [&](const model::Family& known) {
    const auto& types = known.hugging_face_types;
    return known.name == family || std::find(types.begin(), types.end(), family) != types.end();
  });
}

}  // namespace

std::vector<bool> global_layers(const Configuration& c) {
  std::vector<bool> global;
  for (int layer = 0; layer < c.layers; ++layer) {
    const bool last = c.last_is_global && layer == c.layers - 1;
    global.push_back(c.window == 0 || last || (c.period > 0 && (layer + 1) % c.period == 0));
  }
  return global;
}

LayerTable table_of(const Configuration& c, const std::vector<bool>& global) {
  LayerTable table;
  table.name = c.name;
  table.family = c.family;
  table.source = c.source;
  table.vocabulary = c.vocabulary;
  table.hidden = c.hidden;
  table.context_tokens = c.context_tokens;
  table.tied_head = c.tied_head;
  table.vocabulary_token_bytes = c.byte_level ? kByteLevelTokenBytes : kPieceTokenBytes;
  for (int layer = 0; layer < c.layers; ++layer) table.layers.push_back(row_of(c, global, layer));
  add_expected_matrices(table);
  MatrixList(c, global, table).add_special();
  if (!is_computed(c.family)) table.not_computed.push_back("the family " + std::string(c.family) + " is not one it computes");
  return table;
}

}  // namespace fovea::planner
