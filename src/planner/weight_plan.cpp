#include "planner/weight_plan.h"

#include <algorithm>
#include <array>

#include "fovea/error.h"
#include "kernels/packed_matrix.h"

namespace fovea::planner {
namespace {

int queries_per_kv(const LayerTable& table, int layer) {
  if (layer < 0) return 1;
  const LayerRow& row = table.layers[static_cast<size_t>(layer)];
  return row.kv_heads > 0 ? row.q_heads / row.kv_heads : 1;
}

int64_t packed_bytes(const WeightRow& row) {
  if (row.is_vector()) return row.inputs * static_cast<int64_t>(sizeof(float));
  return static_cast<int64_t>(kernels::PackedMatrix::packed_bytes(row.format, static_cast<int>(row.outputs), static_cast<int>(row.inputs)));
}

}  // namespace

void choose_formats(LayerTable& table, const std::string& name) {
  const synthesis::WeightFormats formats = synthesis::weight_formats_named(name, "--weights");
  for (WeightRow& row : table.weights) {
    if (row.is_vector()) {
      row.format = NumberFormat::f32;
      continue;
    }
    synthesis::Matrix matrix{.role = row.role, .layer = std::max(0, row.layer), .row_values = row.inputs};
    matrix.makes_logits = row.kind == WeightKind::output || (row.kind == WeightKind::embedding && table.tied_head);
    if (row.layer >= 0) matrix.layers = static_cast<int>(table.layers.size());
    matrix.queries_per_kv = queries_per_kv(table, row.layer);
    row.format = synthesis::format_of(formats.quantization, matrix, formats.pure);
  }
}

std::vector<PlanWeights> plan_weights(const LayerTable& table) {
  std::array<PlanWeights, kWeightKinds> kinds;
  for (const WeightRow& row : table.weights) {
    PlanWeights& kind = kinds[static_cast<size_t>(row.kind)];
    const int64_t bytes = packed_bytes(row);
    kind.values += row.values();
    kind.bytes += bytes * row.count;
    // Norms stay in the caches; one row of an embedding that makes no logits is looked up.
    const bool looked_up = row.kind == WeightKind::embedding && !table.tied_head;
    if (!row.is_vector() && !looked_up) kind.read_bytes += bytes * row.read;
  }
  std::vector<PlanWeights> present;
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i].bytes == 0) continue;
    kinds[i].kind = name_of(static_cast<WeightKind>(i));
    present.push_back(kinds[i]);
  }
  return present;
}

std::string formats_text(const LayerTable& table) {
  std::vector<std::pair<int64_t, NumberFormat>> bytes;
  for (const WeightRow& row : table.weights) {
    if (row.is_vector()) continue;
    const auto same = [&](const auto& entry) { return entry.second == row.format; };
    auto entry = std::find_if(bytes.begin(), bytes.end(), same);
    if (entry == bytes.end()) entry = bytes.insert(bytes.end(), {0, row.format});
    entry->first += packed_bytes(row) * row.count;
  }
  std::sort(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (const auto& [size, format] : bytes) text += (text.empty() ? "" : ", ") + std::string(facts(format).name);
  return text;
}

}  // namespace fovea::planner
