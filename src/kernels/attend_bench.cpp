// Speed of attention over 128 spans (16,384 keys) of one head of 256: the four heads of one query (decode),
// and full tiles that share their spans (prefill). One thread.
//   GMAC/s   multiply-adds: keys x rows x head_dim, for the scores and again for the values
//   GB/s     bytes of keys and values read
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/compute.h"
#include "kernels/test_numbers.h"

namespace fovea::kernels {
namespace {

constexpr int kSpans = 128, kHeadDim = 256;

void measure(benchmark::State& state, const KernelSet& set, KvCodecs codec, int rows, int tiles) {
  RandomNumbers random(1);
  const KvLayout layout = {codec, 1, kHeadDim};
  constexpr int kTokens = kSpans * kSpanTokens;
  std::vector<std::byte> memory(layout.slice_bytes() * (kTokens / kPageTokens));
  std::vector<std::byte*> pages;
  for (size_t at = 0; at < memory.size(); at += layout.slice_bytes()) pages.push_back(memory.data() + at);
  for (int position = 0; position < kTokens; ++position) {
    const std::vector<float> key = random.floats(kHeadDim), value = random.floats(kHeadDim);
    set.store_kv(layout, pages[static_cast<size_t>(position / kPageTokens)], position % kPageTokens, key.data(), value.data());
  }

  const std::vector<float> queries = random.floats(static_cast<size_t>(rows * kHeadDim));
  std::vector<const float*> query_of_row;
  for (int r = 0; r < rows; ++r) query_of_row.push_back(queries.data() + r * kHeadDim);
  const std::vector<int32_t> positions(static_cast<size_t>(rows), kTokens - 1);
  AttentionTile tile = {rows,
                        query_of_row.data(),
                        positions.data(),
                        0,
                        1.0f / 16,
                        &layout,
                        {pages.data(), 0, static_cast<int>(pages.size()), 0},
                        0,
                        0,
                        0,
                        {},
                        nullptr};
  std::vector<float> sums(static_cast<size_t>(rows * kHeadDim)), maxima(static_cast<size_t>(rows)), weights(maxima);
  std::vector<float> part_sums(sums), part_maxima(maxima), part_weights(weights);
  const AttentionState part = {part_sums.data(), part_maxima.data(), part_weights.data()};
  const AttentionState merged = {sums.data(), maxima.data(), weights.data()};
  std::vector<std::byte> scratch(attention_scratch_bytes()), arranged(arranged_query_bytes(kHeadDim)),
      unfolded(unfolded_span_bytes(kHeadDim));
  tile.unfolded = unfolded.data();
  set.arrange_queries(tile, arranged.data());
  for (auto _ : state) {
    for (int span = 0; span < kSpans; ++span) {
      set.unfold_pages(layout, nullptr, tile.pages, 0, span * kSpanPages, (span + 1) * kSpanPages, unfolded.data());
      for (int i = 0; i < tiles; ++i) {
        const int next = (span + 1) % kSpans;
        tile.fetch = tiles == 1
                         ? SpanFetch{.span = span, .part = 0, .parts = 1, .values_only = true, .keys_ahead = span == 0, .keys_of = next}
                         : SpanFetch{.span = next, .part = i, .parts = tiles};
        set.attend_span(tile, arranged.data(), span, part, scratch.data());
        set.merge(rows, kHeadDim, part, merged);
      }
    }
    benchmark::DoNotOptimize(sums.data());
  }
  const double calls = static_cast<double>(state.iterations()) / 1e9;
  state.counters["GMAC/s"] = {calls * 2 * kTokens * tiles * rows * kHeadDim, benchmark::Counter::kIsRate};
  state.counters["GB/s"] = {calls * static_cast<double>(memory.size()), benchmark::Counter::kIsRate};
}

const bool kRegistered = [] {
  for (const KernelSet* set : supported_kernel_sets()) {
    for (const KvCodec codec :
         {KvCodec::f32, KvCodec::f16, KvCodec::bf16, KvCodec::fp8, KvCodec::int8, KvCodec::int4, KvCodec::tq3, KvCodec::tq2}) {
      for (const auto& [rows, tiles] : {std::pair{4, 1}, std::pair{kTileRows, kTilesTogether}}) {
        const std::string name = "attend/" + std::string(set->name) + "/" + std::string(name_of(codec)) + "/rows:" + std::to_string(rows) +
                                 "x" + std::to_string(tiles);
        benchmark::RegisterBenchmark(name.c_str(), measure, *set, codec, rows, tiles);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace fovea::kernels
