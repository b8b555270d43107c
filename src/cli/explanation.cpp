#include "cli/explanation.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/layer_table.h"
#include "cli/quantity.h"

namespace fovea::cli {
namespace {

constexpr int kStripColumns = 50;  // layers in one line of the strip

// A layer that keeps nothing of its own is written small where the others of its kind are written large.
char letter_of(const LayerFacts& layer) {
  const bool small = layer.shares_with.has_value();
  if (layer.kind == "state") return 'S';
  if (layer.kind == "latent") return 'N';
  if (layer.kind == "chunked") return small ? 'c' : 'C';
  if (layer.kind == "local") return small ? 'l' : 'L';
  return small ? 'g' : 'G';
}

std::string strip(const std::vector<LayerFacts>& layers) {
  std::string text;
  for (size_t begin = 0; begin < layers.size(); begin += kStripColumns) {
    const size_t end = std::min(begin + kStripColumns, layers.size());
    text += fmt::format("{:>7}  ", begin);
    for (size_t i = begin; i < end; ++i) {
      text += letter_of(layers[i]);
      if ((i + 1) % 10 == 0 && i + 1 < end) text += ' ';
    }
    text += '\n';
  }
  return text;
}

std::string sees(const LayerFacts& layer) {
  if (layer.kind == "state") return "see the past through a state that each token updates";
  if (layer.kind == "chunked") return fmt::format("see the tokens of their own chunk of {}", count_text(*layer.window));
  if (layer.window) return fmt::format("see the newest {} tokens, themselves included", count_text(*layer.window));
  return "see the whole past";
}

std::string position(const LayerFacts& layer) {
  if (layer.kind == "state") return "";
  if (layer.rope_base <= 0) return "no positional encoding";
  std::string text = fmt::format("rope of base {}", count_text(static_cast<int64_t>(layer.rope_base)));
  if (layer.rope_scale != 1) text += fmt::format(" stretched {:g} times", layer.rope_scale);
  if (layer.rope_dims > 0 && layer.rope_dims < layer.head_dim) {
    text += fmt::format(" on {} of {} dimensions", layer.rope_dims, layer.head_dim);
  }
  return text;
}

std::string keeps(const LayerFacts& layer) {
  if (layer.shares_with) return fmt::format("keep nothing: they read the keys and values of layer {}", *layer.shares_with);
  if (layer.state_bytes > 0) {
    return fmt::format("keep a state of {} each, whatever the length", bytes_text(static_cast<double>(layer.state_bytes)));
  }
  std::string text = fmt::format("keep {} per token each", bytes_text(static_cast<double>(layer.cache_bytes_per_token)));
  if (layer.window) {
    text += fmt::format(", {} at most", bytes_text(static_cast<double>(layer.cache_bytes_per_token * *layer.window)));
  }
  if (layer.kind == "latent") text += "; one narrow row stands for the keys and values of all heads";
  else if (layer.values_in_keys) text += "; values are what keys are made of: one is stored for both, and keys are turned as they are read";
  return text;
}

std::string computes(const LayerFacts& layer) {
  std::string text;
  if (layer.q_heads > 0) {
    text = fmt::format("{} query heads of {} dimensions", layer.q_heads, layer.head_dim);
    if (layer.kind != "latent") text += fmt::format(" on {} for keys and values", layer.kv_heads);
  }
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
  if (layer.sinks) add("a sink per head takes part in the softmax");
  if (layer.score_softcap > 0) add(fmt::format("scores are capped softly at {:g}", layer.score_softcap));
  if (layer.experts > 0) add(fmt::format("each token goes through {} of {} experts", layer.experts_used, layer.experts));
  return text;
}

std::string paragraph(const LayerKind& kind) {
  const LayerFacts& layer = kind.facts;
  std::string text = fmt::format("{}  {} {}, {} {}\n", letter_of(layer), count_text(static_cast<int64_t>(kind.layers.size())), layer.kind,
                                 kind.layers.size() == 1 ? "layer" : "layers", ranges_text(kind.layers));
  for (const std::string& line : {sees(layer), keeps(layer), position(layer), computes(layer)}) {
    if (!line.empty()) text += "     " + line + '\n';
  }
  return text;
}

}  // namespace

std::string explanation_of(const ModelFacts& facts) {
  std::string text = fmt::format("{}, {}: {} layers, {} values of weights, made for {} tokens\n\n", facts.name, facts.family,
                                 facts.layers.size(), count_text(facts.tensors.values), count_text(facts.context_tokens));
  text += strip(facts.layers) + '\n';
  for (const LayerKind& kind : layer_kinds(facts.layers)) text += paragraph(kind);
  return text + '\n' + cache_summary(facts.layers);
}

}  // namespace fovea::cli
