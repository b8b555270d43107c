#include "planner/what_if.h"

#include <algorithm>
#include <string>

#include "fovea/error.h"

namespace fovea::planner {
namespace {

using synthesis::Role;

constexpr int kUsualWindow = 1024;  // of layers that become local in a model that has no window to copy

int window_of(const LayerTable& table) {
  for (const LayerRow& row : table.layers) {
    if (row.kind == LayerKind::local) return row.window;
  }
  return kUsualWindow;
}

// Rows with heads of the kind, to take the sizes from; null when the model has none.
const LayerRow* example_of(const std::vector<LayerRow>& layers, LayerKind kind) {
  const auto found = std::find_if(layers.begin(), layers.end(), [&](const LayerRow& row) { return row.kind == kind; });
  return found == layers.end() ? nullptr : &*found;
}

// L local layers, then G global ones, and so on. A layer that changes its kind takes the sizes of its new
// kind.
void set_ratio(LayerTable& table, std::pair<int, int> ratio) {
  const auto [local, global] = ratio;
  if (local < 0 || global < 0 || local + global == 0) {
    throw Error("is " + std::to_string(local) + ":" + std::to_string(global), "--ratio",
                "give local:global layers, such as 5:1, 0:1 or 1:0");
  }
  const std::vector<LayerRow> before = table.layers;
  const LayerRow* local_example = example_of(before, LayerKind::local);
  const LayerRow* global_example = example_of(before, LayerKind::global);
  const int window = window_of(table);
  for (size_t i = 0; i < table.layers.size(); ++i) {
    LayerRow& row = table.layers[i];
    if (row.kind == LayerKind::latent || row.kind == LayerKind::state) continue;
    const LayerKind kind = static_cast<int>(i) % (local + global) < local ? LayerKind::local : LayerKind::global;
    if (kind == row.kind) continue;
    const LayerRow* example = kind == LayerKind::local ? local_example : global_example;
    if (example) {
      row.kv_heads = example->kv_heads;
      row.head_dim = example->head_dim;
      row.one_stream = example->one_stream;
      row.turned = example->turned;
    }
    row.kind = kind;
    row.window = kind == LayerKind::local ? window : 0;
  }
}

void set_window(LayerTable& table, int window) {
  if (window < 1) throw Error("is " + std::to_string(window), "--window", "give 1 or more tokens");
  for (LayerRow& row : table.layers) {
    if (row.kind == LayerKind::local) row.window = window;
  }
}

void set_kv_heads(LayerTable& table, int heads) {
  for (LayerRow& row : table.layers) {
    if (!row.has_heads()) continue;
    if (heads < 1 || row.q_heads % heads != 0) {
      throw Error("is " + std::to_string(heads), "--kv-heads", "give a divisor of the " + std::to_string(row.q_heads) + " query heads");
    }
    row.kv_heads = heads;
  }
}

// Every sharing layer reads the last layer of its kind that keeps its own.
void set_sharing(LayerTable& table, int shared) {
  const int layers = static_cast<int>(table.layers.size()), first = layers - shared;
  if (shared < 0 || first < 1) throw Error("is " + std::to_string(shared), "--share-kv", "give 0 to " + std::to_string(layers - 1));
  for (int i = 0; i < layers; ++i) {
    LayerRow& row = table.layers[static_cast<size_t>(i)];
    row.shares_with = -1;
    if (i < first) continue;
    for (int donor = first - 1; donor >= 0 && row.shares_with < 0; --donor) {
      if (table.layers[static_cast<size_t>(donor)].kind == row.kind) row.shares_with = donor;
    }
  }
}

// Matrices of keys and values follow the rows of layers.
void adjust_matrices(LayerTable& table) {
  const auto is_dropped = [&](const WeightRow& weight) {
    if (weight.layer < 0 || weight.kind != WeightKind::attention) return false;
    const LayerRow& row = table.layers[static_cast<size_t>(weight.layer)];
    if (!row.has_heads()) return false;
    const bool keys = weight.role == Role::k, values = weight.role == Role::v;
    return (row.shares_with >= 0 && (keys || values)) || (row.one_stream && values);
  };
  std::erase_if(table.weights, is_dropped);
  for (WeightRow& weight : table.weights) {
    if (weight.layer < 0 || weight.kind != WeightKind::attention || weight.is_vector()) continue;
    const LayerRow& row = table.layers[static_cast<size_t>(weight.layer)];
    if (!row.has_heads()) continue;
    const int64_t q = int64_t{row.q_heads} * row.head_dim, kv = int64_t{row.kv_heads} * row.head_dim;
    if (weight.role == Role::q) weight.outputs = q;
    if (weight.role == Role::k || weight.role == Role::v) weight.outputs = kv;
    if (weight.role == Role::attn_out) weight.inputs = q;
  }
}

void adjust_spec(LayerTable& table) {
  if (!table.spec) return;
  for (size_t i = 0; i < table.layers.size(); ++i) {
    model::AttentionSpec& attention = table.spec->layers[i].attention;
    attention.window = table.layers[i].window;
    attention.kv_heads = table.layers[i].kv_heads;
    attention.head_dim = table.layers[i].head_dim;
  }
}

}  // namespace

LayerTable changed(LayerTable table, const WhatIf& change) {
  if (!change.ratio && !change.window && !change.kv_heads && !change.shared_kv_layers && !change.k_eq_v) return table;
  if (change.ratio) set_ratio(table, *change.ratio);
  if (change.window) set_window(table, *change.window);
  if (change.kv_heads) set_kv_heads(table, *change.kv_heads);
  if (change.shared_kv_layers) set_sharing(table, *change.shared_kv_layers);
  if (change.k_eq_v) {
    for (LayerRow& row : table.layers) {
      row.one_stream = *change.k_eq_v && row.kind == LayerKind::global;
      if (!row.one_stream) row.turned = 0;
    }
  }
  adjust_matrices(table);
  adjust_spec(table);
  table.not_computed.push_back("facts of the model were replaced");
  return table;
}

}  // namespace fovea::planner
