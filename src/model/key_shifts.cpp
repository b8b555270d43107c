#include "model/key_shifts.h"

#include <algorithm>
#include <vector>

#include "kernels/stored_key.h"
#include "kv/cache.h"

namespace fovea::model {
namespace {

bool may_shift(const ModelSpec& spec, int owner) {
  const AttentionSpec& a = spec.layers[static_cast<size_t>(owner)].attention;
  if (a.latent.kv_rank > 0 || a.value_is_key || a.shares_with >= 0) return false;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const AttentionSpec& reader = spec.layers[i].attention;
    if (static_cast<int>(i) != owner && reader.shares_with != owner) continue;
    if (reader.sinks || reader.score_softcap > 0) return false;
  }
  return true;
}

AlignedArray<float> minus_mean_key(const kernels::KvLayout& layout, const kernels::KvPages& pages, int begin, int end) {
  const auto dims = static_cast<size_t>(layout.head_dim), heads = static_cast<size_t>(layout.kv_heads);
  std::vector<double> sums(heads * dims);
  std::vector<float> key(dims);
  for (int position = begin; position < end; ++position) {
    const std::byte* slice = pages.slice(position / kernels::kPageTokens);
    for (size_t head = 0; head < heads; ++head) {
      kernels::read_key(layout, slice, static_cast<int>(head), position % kernels::kPageTokens, key.data());
      for (size_t d = 0; d < dims; ++d) sums[head * dims + d] += key[d];
    }
  }
  AlignedArray<float> shift(sums.size());
  for (size_t i = 0; i < sums.size(); ++i) shift.data()[i] = static_cast<float>(-sums[i] / (end - begin));
  return shift;
}

}  // namespace

std::vector<AlignedArray<float>> measure_key_shifts(const ModelSpec& spec, const Weights& weights, std::span<const kv::GroupSpec> groups,
                                                    std::span<const int32_t> tokens, kernels::Compute& compute, Scratch& scratch,
                                                    int most_rows) {
  std::vector<AlignedArray<float>> shifts(spec.layers.size());
  const int count = std::min(kKeyShiftTokens, static_cast<int>(tokens.size())), chunk = std::min(most_rows, count);
  if (count < 2) return shifts;
  kv::Cache cache(kv_groups(spec, KvCodec::bf16, KvCodec::bf16), {.context_tokens = count, .chunk_tokens = count});
  const kv::SequenceId sequence = *cache.create();
  Batch batch;
  for (int done = 0; done < count; done += chunk) {
    const int rows = std::min(chunk, count - done);
    batch.clear();
    if (!cache.reserve(sequence, rows)) return shifts;  // it has room for all of them
    batch.add(sequence, done, tokens.subspan(static_cast<size_t>(done), static_cast<size_t>(rows)));
    forward(spec, weights, batch, {}, cache, compute, scratch);
    if (done + rows < count) cache.commit(sequence, rows);  // the last stays, with all that its window sees
  }
  for (const kv::GroupSpec& group : groups) {
    if (group.newest || group.state_bytes > 0 || !kernels::is_scaled(group.layout.codec.keys)) continue;
    for (const int layer : group.layers) {
      if (!may_shift(spec, layer)) continue;
      const kernels::KvPages pages = cache.view(sequence, layer);
      // Positions that are held however the text was read; the first key is like no other.
      const int begin = std::max(1, group.window == kWholePast ? 0 : count - group.window);
      if (begin < count) shifts[static_cast<size_t>(layer)] = minus_mean_key(cache.layout(layer), pages, begin, count);
    }
  }
  return shifts;
}

}  // namespace fovea::model
