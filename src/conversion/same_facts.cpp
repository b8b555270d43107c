#include "conversion/same_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fovea::conversion {
namespace {

using model::AttentionSpec;
using model::LayerSpec;
using model::ModelSpec;

bool close(double a, double b) { return std::abs(a - b) <= 1e-6 * std::max(std::abs(a), std::abs(b)); }

bool close(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) { return close(x, y); });
}

std::string window_text(int window) { return window == model::kWholePast ? "none" : std::to_string(window); }

std::string difference_of(const AttentionSpec& a, AttentionSpec b) {
  if (a.window != b.window)
    return fmt::format("the window ({} in the folder, {} in the file)", window_text(a.window), window_text(b.window));
  if (!close(a.score_scale, b.score_scale)) return fmt::format("the scale of scores ({:g}, not {:g})", a.score_scale, b.score_scale);
  b.score_scale = a.score_scale;
  return a == b ? "" : "attention";
}

std::string difference_of(const model::FeedForwardSpec& a, model::FeedForwardSpec b) {
  if (!close(a.sparsity, b.sparsity)) return "the sparsity of gates";
  b.sparsity = a.sparsity;
  if (a.width != b.width) return fmt::format("the width of the feed-forward ({}, not {})", a.width, b.width);
  if (a.experts.groups != b.experts.groups || a.experts.groups_used != b.experts.groups_used) return "groups of experts";
  if (a.experts.normalized != b.experts.normalized) return "whether weights of experts are divided by their sum";
  if ((a.experts.count > 0) != (b.experts.count > 0)) return "which layers have experts";
  if (!(a.experts == b.experts)) return "experts";
  return a == b ? "" : "the feed-forward";
}

std::string difference_of(const LayerSpec& a, LayerSpec b) {
  std::string found = a.state.inner > 0 && b.state.inner > 0 ? "" : difference_of(a.attention, b.attention);
  if (found.empty()) found = difference_of(a.feed_forward, b.feed_forward);
  if (!found.empty()) return found;
  b.attention = a.attention;
  b.feed_forward = a.feed_forward;
  return a == b ? "" : "norms or state";
}

std::string difference_outside_layers(const ModelSpec& a, const ModelSpec& b) {
  const auto differ = [](const char* what, double x, double y) {
    return close(x, y) ? "" : fmt::format("{} ({:g}, not {:g})", what, x, y);
  };
  for (const std::string& found :
       {differ("the vocabulary", a.vocabulary, b.vocabulary), differ("the width", a.hidden, b.hidden),
        differ("the longest context", a.context_tokens, b.context_tokens), differ("the epsilon of norms", a.norm_eps, b.norm_eps),
        differ("the scale of embeddings", a.embedding_scale, b.embedding_scale),
        differ("the scale of what layers add", a.residual_scale, b.residual_scale),
        differ("the scale of logits", a.logit_scale, b.logit_scale), differ("the cap of logits", a.final_softcap, b.final_softcap),
        differ("the number of layers", static_cast<double>(a.layers.size()), static_cast<double>(b.layers.size())),
        differ("the number of ropes", static_cast<double>(a.ropes.size()), static_cast<double>(b.ropes.size()))}) {
    if (!found.empty()) return found;
  }
  if (a.norm != b.norm) return "the kind of norms";
  if (!(a.layer_input == b.layer_input)) return "vectors per layer";
  return a.streams == b.streams ? "" : "streams";
}

}  // namespace

bool same_rope(const model::Rope& a, const model::Rope& b) {
  return a.dims == b.dims && close(a.frequencies, b.frequencies) && close(a.far_frequencies, b.far_frequencies) &&
         (a.far_frequencies.empty() || a.near_tokens == b.near_tokens) && close(a.magnitude, b.magnitude);
}

std::string first_difference(const ModelSpec& folder, const ModelSpec& file) {
  if (std::string found = difference_outside_layers(folder, file); !found.empty()) return found;
  for (size_t i = 0; i < folder.ropes.size(); ++i) {
    if (!same_rope(folder.ropes[i], file.ropes[i])) return "the rotation of positions (rope)";
  }
  for (size_t i = 0; i < folder.layers.size(); ++i) {
    const std::string found = difference_of(folder.layers[i], file.layers[i]);
    if (!found.empty()) return fmt::format("{} of layer {}", found, i);
  }
  return "";
}

}  // namespace fovea::conversion
