#include "model/turned_keys.h"

#include <algorithm>
#include <cmath>

#include "fovea/error.h"
#include "kernels/stored_key.h"
#include "model/rope.h"

namespace fovea::model {
namespace {

using kernels::kPageTokens;

// A pair's rotation, once for all keys.
struct Turn {
  int low, high;
  double cosine, sine;
};

std::vector<Turn> turns_by(const std::vector<TurningPair>& pairs, int by) {
  std::vector<Turn> turns;
  turns.reserve(pairs.size());
  for (const TurningPair& pair : pairs) {
    const double angle = by * pair.frequency;
    turns.push_back({pair.low, pair.high, std::cos(angle), std::sin(angle)});
  }
  return turns;
}

void turn(const std::vector<Turn>& turns, float* key) {
  for (const Turn& t : turns) {
    const double x = key[t.low], y = key[t.high];
    key[t.low] = static_cast<float>(x * t.cosine - y * t.sine);
    key[t.high] = static_cast<float>(y * t.cosine + x * t.sine);
  }
}

// Keys [begin, end) of one layer, all of them in one page.
void turn_page(const std::vector<Turn>& turns, const kernels::KvLayout& layout, std::byte* slice, int begin, int end) {
  std::vector<float> key(static_cast<size_t>(layout.head_dim));
  for (int head = 0; head < layout.kv_heads; ++head) {
    for (int slot = begin; slot < end; ++slot) {
      kernels::read_key(layout, slice, head, slot, key.data());
      turn(turns, key.data());
      kernels::write_key(layout, slice, head, slot, key.data());
    }
  }
}

struct StoredLayer {
  const kv::Cache& cache;
  kv::SequenceId sequence;
  int layer;
};

// Keys [begin, end), as far as their pages are held.
void turn_layer(const StoredLayer& of, const std::vector<Turn>& turns, int begin, int end, const kernels::Compute& compute) {
  const kernels::KvPages pages = of.cache.view(of.sequence, of.layer);
  const kernels::KvLayout& layout = of.cache.layout(of.layer);
  const int first = std::max(begin / kPageTokens, pages.first_page), last = (end - 1) / kPageTokens;
  if (turns.empty() || last < first) return;
  compute.for_rows(last - first + 1, 1, [&](int from, int to) {
    for (int page = first + from; page < first + to; ++page) {
      const int page_begin = page * kPageTokens;
      turn_page(turns, layout, pages.slice(page), std::max(begin - page_begin, 0), std::min(end - page_begin, kPageTokens));
    }
  });
}

bool keeps_keys(const ModelSpec& spec, int layer) { return stored_heads(spec, layer).kv_heads > 0; }

}  // namespace

std::vector<TurningPair> turning_pairs_of_key(const ModelSpec& spec, int layer, int context_tokens) {
  const AttentionSpec& a = spec.layers[static_cast<size_t>(layer)].attention;
  std::vector<TurningPair> pairs;
  if (a.rope < 0 || a.value_is_key) return pairs;
  const Rope& rope = spec.ropes[static_cast<size_t>(a.rope)];
  const std::vector<double>& frequencies = frequencies_for(rope, context_tokens);
  const bool half = rope.pairing == Rope::Pairing::half;
  const int count = rope.dims / 2;
  for (int k = 0; k < count; ++k) {
    const double frequency = frequencies[static_cast<size_t>(k)];
    const int first = a.latent.kv_rank;
    if (frequency != 0) pairs.push_back({first + (half ? k : 2 * k), first + (half ? k + count : 2 * k + 1), frequency});
  }
  return pairs;
}

void turn_key(const std::vector<TurningPair>& pairs, int by, float* key) { turn(turns_by(pairs, by), key); }

void turn_keys(const ModelSpec& spec, const kv::Cache& cache, kv::SequenceId sequence, int begin, int end, int by, int context_tokens,
               const kernels::Compute& compute) {
  for (int layer = 0; layer < static_cast<int>(spec.layers.size()); ++layer) {
    if (keeps_keys(spec, layer))
      turn_layer({cache, sequence, layer}, turns_by(turning_pairs_of_key(spec, layer, context_tokens), by), begin, end, compute);
  }
}

void turn_moved_sinks(const ModelSpec& spec, const kv::Cache& cache, kv::SequenceId sequence, int context_tokens,
                      const kernels::Compute& compute) {
  for (int layer = 0; layer < static_cast<int>(spec.layers.size()); ++layer) {
    const int end = keeps_keys(spec, layer) ? cache.moved_sinks(sequence, layer) : 0;
    if (end == 0) continue;
    const std::vector<Turn> turns = turns_by(turning_pairs_of_key(spec, layer, context_tokens), cache.forgotten(sequence, layer));
    turn_layer({cache, sequence, layer}, turns, 0, end, compute);
  }
}

void require_shiftable(const ModelSpec& spec) {
  for (const LayerSpec& layer : spec.layers) {
    if (layer.state.inner == 0) continue;
    throw Error("layers carry a state from token to token, and nothing can be taken out of it", spec.name,
                "run without a shift, in a context that is long enough");
  }
}

}  // namespace fovea::model
