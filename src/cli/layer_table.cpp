#include "cli/layer_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/quantity.h"
#include "cli/table.h"

namespace fovea::cli {
namespace {

bool same_kind(const LayerFacts& a, const LayerFacts& b) {
  return a.kind == b.kind && a.window == b.window && a.q_heads == b.q_heads && a.kv_heads == b.kv_heads && a.head_dim == b.head_dim &&
         a.rope_base == b.rope_base && a.rope_scale == b.rope_scale && a.rope_dims == b.rope_dims &&
         a.cache_bytes_per_token == b.cache_bytes_per_token && a.shares_with == b.shares_with && a.state_bytes == b.state_bytes &&
         a.values_in_keys == b.values_in_keys && a.sinks == b.sinks && a.score_softcap == b.score_softcap && a.experts == b.experts &&
         a.experts_used == b.experts_used;
}

// 1000000 as "1,000,000", 0.5 as "0.5".
std::string number_text(float value) {
  const bool whole = std::abs(value) < 1e15f && value == std::trunc(value);
  return whole ? count_text(static_cast<int64_t>(value)) : fmt::format("{:g}", value);
}

}  // namespace

std::vector<LayerKind> layer_kinds(const std::vector<LayerFacts>& layers) {
  std::vector<LayerKind> kinds;
  for (const LayerFacts& layer : layers) {
    const auto known = std::find_if(kinds.begin(), kinds.end(), [&](const LayerKind& kind) { return same_kind(kind.facts, layer); });
    LayerKind& kind = known == kinds.end() ? kinds.emplace_back(LayerKind{layer, {}}) : *known;
    kind.layers.push_back(layer.index);
  }
  return kinds;
}

std::string extras_text(const LayerFacts& layer) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (layer.values_in_keys) add("values within keys");
  if (layer.rope_dims > 0 && layer.rope_dims < layer.head_dim) add(fmt::format("{} dims rotate", layer.rope_dims));
  if (layer.sinks) add("sinks");
  if (layer.score_softcap > 0) add(fmt::format("softcap {:g}", layer.score_softcap));
  if (layer.experts > 0) add(fmt::format("{} of {} experts", layer.experts_used, layer.experts));
  if (layer.state_bytes > 0) add(fmt::format("state of {}", bytes_text(static_cast<double>(layer.state_bytes))));
  return text;
}

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
  const std::vector<LayerKind> kinds = layer_kinds(layers);
  const bool any_extras = std::any_of(kinds.begin(), kinds.end(), [](const LayerKind& k) { return !extras_text(k.facts).empty(); });
  std::vector<Table::Column> columns = {{"layers", Table::Align::left},
                                        {"kind", Table::Align::left},
                                        {"window"},
                                        {"q heads"},
                                        {"kv heads"},
                                        {"head dim"},
                                        {"rope base"},
                                        {"rope scale"},
                                        {"cache/token"},
                                        {"shares with"}};
  if (any_extras) columns.push_back({"also", Table::Align::left});
  Table table(columns);
  for (const LayerKind& kind : kinds) {
    const LayerFacts& facts = kind.facts;
    std::vector<std::string> row = {ranges_text(kind.layers),
                                    facts.kind,
                                    facts.window ? count_text(*facts.window) : "all",
                                    fmt::format("{}", facts.q_heads),
                                    fmt::format("{}", facts.kv_heads),
                                    fmt::format("{}", facts.head_dim),
                                    facts.rope_base > 0 ? number_text(facts.rope_base) : "none",
                                    number_text(facts.rope_scale),
                                    fmt::format("{} B", count_text(facts.cache_bytes_per_token)),
                                    facts.shares_with ? fmt::format("{}", *facts.shares_with) : "-"};
    if (any_extras) row.push_back(extras_text(facts));
    table.add_row(row);
  }
  return table.text();
}

namespace {

// Layers of one kind, together.
struct KindSum {
  std::string kind;
  int layers = 0, widest = 0;  // tokens
  int64_t bytes_per_token = 0, state_bytes = 0;
};

std::vector<KindSum> sums_of(const std::vector<LayerFacts>& layers) {
  std::vector<KindSum> sums;
  for (const LayerFacts& layer : layers) {
    if (layer.cache_bytes_per_token == 0 && layer.state_bytes == 0) continue;
    auto sum = std::ranges::find(sums, layer.kind, &KindSum::kind);
    if (sum == sums.end()) sum = sums.insert(sums.end(), KindSum{.kind = layer.kind});
    ++sum->layers;
    sum->widest = std::max(sum->widest, layer.window.value_or(0));
    sum->bytes_per_token += layer.cache_bytes_per_token;
    sum->state_bytes += layer.state_bytes;
  }
  return sums;
}

}  // namespace

std::string cache_summary(const std::vector<LayerFacts>& layers) {
  std::string text = "cache of one sequence, bf16:\n";
  for (const KindSum& sum : sums_of(layers)) {
    const std::string name = fmt::format("{} {} layer{}", sum.layers, sum.kind, sum.layers == 1 ? "" : "s");
    const int64_t bytes = sum.state_bytes > 0 ? sum.state_bytes : sum.bytes_per_token;
    text += fmt::format("  {:<17} {} {}", name, bytes_text(static_cast<double>(bytes)), sum.state_bytes > 0 ? "in all" : "per token");
    text += sum.widest > 0 ? fmt::format(", up to {} tokens\n", count_text(sum.widest)) : "\n";
  }
  return text;
}

}  // namespace fovea::cli
