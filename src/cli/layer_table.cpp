#include "cli/layer_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/quantity.h"
#include "cli/table.h"

namespace fovea::cli {
namespace {

struct Kind {
  LayerFacts facts;  // of the first such layer
  std::vector<int> layers;
};

bool same_kind(const LayerFacts& a, const LayerFacts& b) {
  return a.kind == b.kind && a.window == b.window && a.q_heads == b.q_heads && a.kv_heads == b.kv_heads &&
         a.head_dim == b.head_dim && a.rope_base == b.rope_base && a.rope_scale == b.rope_scale &&
         a.cache_bytes_per_token == b.cache_bytes_per_token && a.shares_with == b.shares_with;
}

std::vector<Kind> kinds_of(const std::vector<LayerFacts>& layers) {
  std::vector<Kind> kinds;
  for (const LayerFacts& layer : layers) {
    const auto known = std::find_if(kinds.begin(), kinds.end(),
                                    [&](const Kind& kind) { return same_kind(kind.facts, layer); });
    Kind& kind = known == kinds.end() ? kinds.emplace_back(Kind{layer, {}}) : *known;
    kind.layers.push_back(layer.index);
  }
  return kinds;
}

// 1000000 as "1,000,000", 0.5 as "0.5".
std::string number_text(float value) {
  const bool whole = std::abs(value) < 1e15f && value == std::trunc(value);
  return whole ? count_text(static_cast<int64_t>(value)) : fmt::format("{:g}", value);
}

}  // namespace

std::string ranges_text(const std::vector<int>& ascending) {
  std::string text;
  for (size_t i = 0; i < ascending.size();) {
    size_t last = i;
    while (last + 1 < ascending.size() && ascending[last + 1] == ascending[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", ascending[i]);
    if (last > i) text += fmt::format("-{}", ascending[last]);
    i = last + 1;
  }
  return text;
}

std::string layer_table(const std::vector<LayerFacts>& layers) {
  Table table({{"layers", Table::Align::left},
               {"kind", Table::Align::left},
               {"window"},
               {"q heads"},
               {"kv heads"},
               {"head dim"},
               {"rope base"},
               {"rope scale"},
               {"cache/token"},
               {"shares with"}});
  for (const Kind& kind : kinds_of(layers)) {
    const LayerFacts& facts = kind.facts;
    table.add_row({ranges_text(kind.layers), facts.kind, facts.window ? count_text(*facts.window) : "all",
                   fmt::format("{}", facts.q_heads), fmt::format("{}", facts.kv_heads),
                   fmt::format("{}", facts.head_dim), number_text(facts.rope_base),
                   number_text(facts.rope_scale),
                   fmt::format("{} B", count_text(facts.cache_bytes_per_token)),
                   facts.shares_with ? fmt::format("{}", *facts.shares_with) : "-"});
  }
  return table.text();
}

std::string cache_summary(const std::vector<LayerFacts>& layers) {
  int64_t local_bytes = 0, global_bytes = 0;  // per token
  int local_layers = 0, global_layers = 0, widest = 0;
  for (const LayerFacts& layer : layers) {
    (layer.window ? local_layers : global_layers) += 1;
    (layer.window ? local_bytes : global_bytes) += layer.cache_bytes_per_token;
    widest = std::max(widest, layer.window.value_or(0));
  }
  std::string text = "cache of one sequence, f16:\n";
  if (local_layers > 0) {
    text += fmt::format("  {} local layers   {} per token, up to {} tokens\n", local_layers,
                        bytes_text(static_cast<double>(local_bytes)), count_text(widest));
  }
  if (global_layers > 0) {
    text += fmt::format("  {} global layers  {} per token\n", global_layers,
                        bytes_text(static_cast<double>(global_bytes)));
  }
  return text;
}

}  // namespace fovea::cli
