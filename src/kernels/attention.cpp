// Rows of queries that share keys (the heads of a group, neighbouring positions) form tiles. Each tile gathers span after span and merges
// them in ascending order. With many tiles (prefill) a thread takes whole tiles, some together so that they share the reading of
// a span; with few (decode) it takes single spans, whose results are merged afterwards: the same additions in the same order.
// Where the newest keys lie apart, a tile gathers the spans of the others first and theirs after.
#include "kernels/attention.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <climits>
#include <limits>
#include <utility>

namespace fovea::kernels {
namespace {

// A tile by number, within one attention call.
struct TileGrid {
  int heads_per_kv;      // query heads that read one K/V head
  int heads_per_tile;    // of those, in one tile
  int head_tiles;        // tiles that cover heads_per_kv
  int queries_per_tile;  // positions in one tile

  TileGrid(int q_heads, int kv_heads)
      : heads_per_kv(q_heads / kv_heads),
        heads_per_tile(std::min(heads_per_kv, kTileRows)),
        head_tiles((heads_per_kv + heads_per_tile - 1) / heads_per_tile),
        queries_per_tile(std::max(1, kTileRows / heads_per_tile)) {}

  int tiles(const SequenceRows& sequence, int kv_heads) const {
    return (sequence.rows + queries_per_tile - 1) / queries_per_tile * kv_heads * head_tiles;
  }
};

// Pages of one form, and which keys are read from them.
struct Source {
  const KvLayout* layout;
  std::span<const KvPages> pages;
  int window;        // as AttentionShape::window
  int newest_apart;  // as AttentionTile::newest_apart
};

struct Call {
  const AttentionShape& shape;
  const KvLayout& layout;           // what all sources have in common: the shape of heads
  std::span<const Source> sources;  // in the order of merging
  std::span<const SequenceRows> sequences;
  const float* queries;
  float* out;
  TileGrid grid;
  std::span<const AttendedPages> attended;

  bool is_last(const Source& source) const { return &source == &sources.back(); }
};

// A tile made concrete: which rows and heads, which spans they see.
struct Tile {
  std::array<const float*, kTileRows> queries;
  std::array<float*, kTileRows> outputs;
  std::array<int32_t, kTileRows> positions;
  std::array<float, kTileRows> sinks;
  AttentionTile work;
  AttendedPages attended;
  int first_span, end_span;
};

void make_tile(const Call& call, const Source& source, int index, Tile& tile) {
  size_t s = 0;
  while (index >= call.grid.tiles(call.sequences[s], call.layout.kv_heads)) {
    index -= call.grid.tiles(call.sequences[s], call.layout.kv_heads);
    ++s;
  }
  const SequenceRows& sequence = call.sequences[s];
  // Neighbours in number read the same keys.
  const int tiles_per_kv_head = call.grid.tiles(sequence, 1);
  const int kv_head = index / tiles_per_kv_head;
  const int head_tile = index % call.grid.head_tiles;
  const int first_query = index % tiles_per_kv_head / call.grid.head_tiles * call.grid.queries_per_tile;
  const int queries = std::min(call.grid.queries_per_tile, sequence.rows - first_query);
  const int first_head = head_tile * call.grid.heads_per_tile;
  const int heads = std::min(call.grid.heads_per_tile, call.grid.heads_per_kv - first_head);

  int rows = 0;
  for (int q = first_query; q < first_query + queries; ++q) {
    for (int h = first_head; h < first_head + heads; ++h) {
      const int64_t head = kv_head * call.grid.heads_per_kv + h;
      const int64_t at = static_cast<int64_t>(sequence.first_row + q) * call.shape.q_heads + head;
      const auto r = static_cast<size_t>(rows++);
      tile.queries[r] = call.queries + at * call.layout.head_dim;
      tile.outputs[r] = call.out + at * call.layout.value_dim();
      tile.sinks[r] = call.shape.sinks ? call.shape.sinks[head] : 0.0f;
      tile.positions[r] = sequence.first_position + q;
    }
  }
  tile.work = {rows,
               tile.queries.data(),
               tile.positions.data(),
               source.window,
               call.shape.scale,
               source.layout,
               source.pages[s],
               kv_head,
               call.shape.chunk,
               call.shape.softcap,
               {},
               nullptr,
               call.shape.turning,
               source.newest_apart};
  tile.attended = call.attended.empty() ? AttendedPages{} : call.attended[s];
  tile.first_span = oldest_seen(source.window, call.shape.chunk, tile.positions[0]) / kSpanTokens;
  tile.end_span = std::max(tile.first_span, (tile.work.end_seen(rows - 1) + kSpanTokens - 1) / kSpanTokens);
}

AttentionState state_at(float* memory, int stride) {
  float* maxima = memory + static_cast<int64_t>(kTileRows) * stride;
  return {memory, maxima, maxima + kTileRows};
}

void clear(const AttentionState& state, int rows, int stride) {
  std::fill(state.sums, state.sums + static_cast<int64_t>(rows) * stride, 0.0f);
  std::fill(state.maxima, state.maxima + rows, -std::numeric_limits<float>::infinity());
  std::fill(state.weights, state.weights + rows, 0.0f);
}

// The sinks are merged last: a weight of 1 at their score, and no value.
void merge_sinks(const KernelSet& set, const Tile& tile, const AttentionState& part, const AttentionState& state, int stride) {
  clear(part, tile.work.rows, stride);
  std::copy_n(tile.sinks.begin(), tile.work.rows, part.maxima);
  std::fill_n(part.weights, tile.work.rows, 1.0f);
  set.merge(tile.work.rows, stride, part, state);
}

// What was gathered of one source, as it can be merged with that of the next.
void turn_back_sums(const KernelSet& set, const AttentionTile& work, const AttentionState& state) {
  const KvLayout& layout = *work.layout;
  for (int r = 0; r < work.rows; ++r) set.turn_back(layout, state.sums + static_cast<int64_t>(r) * layout.value_stride());
}

void write_out(const KernelSet& set, const Tile& tile, const AttentionState& state) {
  const KvLayout& layout = *tile.work.layout;
  for (int r = 0; r < tile.work.rows; ++r) {
    const float* sums = state.sums + static_cast<int64_t>(r) * layout.value_stride();
    const float weight = state.weights[r];
    float* out = tile.outputs[static_cast<size_t>(r)];
    for (int d = 0; d < layout.value_dim(); ++d) out[d] = sums[d] / weight;
    set.turn_back(layout, out);
  }
}

// What tiles [first, first + count) see of a span, unfolded for them; they are of one sequence and one K/V head.
void unfold(const KernelSet& set, const Tile* first, size_t count, int span, std::byte* unfolded) {
  const AttentionTile& work = first->work;
  int oldest = INT_MAX, newest = 0;
  for (const Tile* tile = first; tile < first + count; ++tile) {
    const AttentionTile& each = tile->work;
    oldest = std::min(oldest, oldest_seen(each.window, each.chunk, each.positions[0]));
    newest = std::max(newest, each.end_seen(each.rows - 1) - 1);
  }
  const int begin = std::max(span * kSpanPages, oldest / kPageTokens);
  const int end = std::min((span + 1) * kSpanPages, newest / kPageTokens + 1);
  set.unfold_pages(*work.layout, work.turning, work.pages, work.kv_head, begin, end, unfolded);
}

bool is_unfolded(const KvLayout& layout) {
  return is_narrow(layout.codec.keys) || layout.turned > 0 || (layout.own_values() && is_narrow(layout.codec.values));
}

// Adds what the rows of a tile attended to in one span.
void add_attended(const KernelSet& set, const Tile& tile, const std::byte* queries, int span, const AttentionState& whole,
                  std::byte* scratch) {
  AttentionTile work = tile.work;
  work.unfolded = scratch + attention_scratch_bytes();
  if (is_narrow(work.layout->codec.keys) || work.layout->turned > 0) unfold(set, &tile, 1, span, work.unfolded);
  constexpr int kPages = kSpanTokens / kPageTokens;
  constexpr float kSharesUnit = 0x1p20f;
  std::array<float, kTileRows * kPages> shares;
  set.page_shares(work, queries, span, whole, shares.data(), scratch);
  const int first = span * kPages, end = tile.work.pages.first_page + tile.work.pages.page_count;
  for (int page = 0; page < kPages && first + page < end; ++page) {
    int64_t sum = 0;
    for (int r = 0; r < tile.work.rows; ++r) {
      const float share = shares[static_cast<size_t>(r * kPages + page)];
      const auto keys = static_cast<float>(tile.positions[static_cast<size_t>(r)] + 1);
      if (!(share > 0)) continue;
      sum += tile.attended.unit == AttendedPages::Unit::share ? static_cast<int64_t>(share * kSharesUnit) : share * keys > kPageTokens;
    }
    int64_t& total = tile.attended.pages[first + page - tile.work.pages.first_page];
    if (sum > 0) std::atomic_ref(total).fetch_add(sum, std::memory_order_relaxed);
  }
}

// Scratch of a thread: of attend_span, its result, and of each tile arranged queries and what was gathered so far.
struct ThreadMemory {
  std::byte* scratch;
  std::byte* unfolded;
  AttentionState part;
  std::array<std::byte*, kTilesTogether> queries;
  std::array<AttentionState, kTilesTogether> running;

  ThreadMemory(Compute& compute, int thread, const KvLayout& layout) : scratch(compute.scratch(thread)) {
    const size_t state_bytes = (span_state_floats(layout.value_stride()) * sizeof(float) + 63) / 64 * 64;
    std::byte* at = scratch + attention_scratch_bytes();
    const auto next = [&](size_t bytes) { return std::exchange(at, at + bytes); };
    const auto next_state = [&] { return state_at(reinterpret_cast<float*>(next(state_bytes)), layout.value_stride()); };
    unfolded = next(unfolded_span_bytes(layout.head_dim));
    part = next_state();
    for (size_t i = 0; i < kTilesTogether; ++i) {
      queries[i] = next(arranged_query_bytes(layout.head_dim));
      running[i] = next_state();
    }
  }
};

// Tiles [begin, end) of a call, as far as they fit together.
struct TileGroup {
  std::array<Tile, kTilesTogether> tiles;
  size_t count;
  int first_span = 0, end_span = 0;

  TileGroup(const Call& call, const Source& source, int begin, int end) : count(static_cast<size_t>(end - begin)) {
    for (size_t i = 0; i < count; ++i) {
      Tile& tile = tiles[i];
      make_tile(call, source, begin + static_cast<int>(i), tile);
      first_span = i == 0 ? tile.first_span : std::min(first_span, tile.first_span);
      end_span = std::max(end_span, tile.end_span);
    }
  }

  // The first tile after `begin` that reads other keys.
  size_t end_of_alike(size_t begin) const {
    const AttentionTile& first = tiles[begin].work;
    size_t end = begin + 1;
    while (end < count && tiles[end].work.kv_head == first.kv_head && tiles[end].work.pages.pages == first.pages.pages) ++end;
    return end;
  }
};

// Adds the spans of one source to what the tiles have gathered.
void gather_spans(const Compute& compute, const KvLayout& layout, TileGroup& group, const ThreadMemory& memory) {
  const int stride = layout.value_stride();
  for (size_t i = 0; i < group.count; ++i) compute.set().arrange_queries(group.tiles[i].work, memory.queries[i]);
  for (int span = group.first_span; span < group.end_span; ++span) {
    size_t unfolded_end = 0;
    for (size_t i = 0; i < group.count; ++i) {
      Tile& tile = group.tiles[i];
      if (is_unfolded(layout) && i == unfolded_end) {
        unfolded_end = group.end_of_alike(i);
        unfold(compute.set(), &tile, unfolded_end - i, span, memory.unfolded);
      }
      if (span < tile.first_span || span >= tile.end_span) continue;
      tile.work.unfolded = memory.unfolded;
      tile.work.fetch = {};
      if (span + 1 < group.end_span) {
        tile.work.fetch = {.span = span + 1, .part = static_cast<int>(i), .parts = static_cast<int>(group.count)};
      }
      compute.set().attend_span(tile.work, memory.queries[i], span, memory.part, memory.scratch);
      compute.set().merge(tile.work.rows, stride, memory.part, memory.running[i]);
    }
  }
}

// Tiles [begin, end).
void attend_group(Compute& compute, const Call& call, int begin, int end, int thread) {
  const int stride = call.layout.value_stride();
  const ThreadMemory memory(compute, thread, call.layout);
  for (int i = 0; i < end - begin; ++i) clear(memory.running[static_cast<size_t>(i)], kTileRows, stride);
  for (const Source& source : call.sources) {
    if (call.is_last(source)) break;
    TileGroup group(call, source, begin, end);
    gather_spans(compute, *source.layout, group, memory);
    for (size_t i = 0; i < group.count; ++i) turn_back_sums(compute.set(), group.tiles[i].work, memory.running[i]);
  }
  TileGroup group(call, call.sources.back(), begin, end);
  gather_spans(compute, *call.sources.back().layout, group, memory);
  for (size_t i = 0; i < group.count; ++i) {
    const Tile& tile = group.tiles[i];
    if (call.shape.sinks) merge_sinks(compute.set(), tile, memory.part, memory.running[i], stride);
    for (int span = tile.first_span; tile.attended.pages && span < tile.end_span; ++span) {
      add_attended(compute.set(), tile, memory.queries[i], span, memory.running[i], memory.scratch);
    }
    write_out(compute.set(), tile, memory.running[i]);
  }
}

void attend_whole_tiles(Compute& compute, const Call& call, int tiles) {
  const int together = std::clamp(tiles / (4 * compute.pool().threads()), 1, kTilesTogether);
  const int groups = (tiles + together - 1) / together;
  compute.pool().run(groups, [&](int index, int thread) {
    const int begin = (groups - 1 - index) * together;  // the longest pasts first: they would make the others wait at the end
    attend_group(compute, call, begin, std::min(begin + together, tiles), thread);
  });
}

AttentionState row_of(const AttentionState& state, int row, int stride) {
  return {state.sums + static_cast<int64_t>(row) * stride, state.maxima + row, state.weights + row};
}

// Merges the results of `count` spans in ascending order; row by row where that is work for several threads.
template <typename StateOf>
void merge_spans(Compute& compute, int rows, int stride, int count, const StateOf& state, const AttentionState& running) {
  constexpr int kSpansToShare = 16;
  if (count < kSpansToShare) {
    for (int i = 0; i < count; ++i) compute.set().merge(rows, stride, state(i), running);
    return;
  }
  compute.pool().run(rows, [&](int row, int) {
    for (int i = 0; i < count; ++i) compute.set().merge(1, stride, row_of(state(i), row, stride), row_of(running, row, stride));
  });
}

constexpr int kSpansTogether = 4;  // by one thread, one after the other

// What is fetched with a span of a lone tile: its values while its keys are read, the next one's keys while values are. What is
// unfolded has been read before: all of the next one.
SpanFetch fetch_of_span(const KvLayout& layout, int span, bool first, bool last) {
  if (is_unfolded(layout)) return last ? SpanFetch{} : SpanFetch{.span = span + 1, .part = 0, .parts = 1};
  return {.span = span,
          .part = 0,
          .parts = 1,
          .values_only = true,
          .keys_ahead = first || !layout.own_values(),
          .keys_of = last ? -1 : span + 1};
}

// The states of spans that are computed at once; the one that they are merged into stands behind them.
class WaveStates {
 public:
  WaveStates(Compute& compute, int stride) : first_(compute.span_states()), stride_(stride), wave_(compute.span_state_count() - 1) {}
  int wave() const { return wave_; }
  AttentionState operator()(int i) const { return state_at(first_ + static_cast<size_t>(i) * span_state_floats(stride_), stride_); }
  AttentionState running() const { return (*this)(wave_); }

 private:
  float* first_;
  int stride_, wave_;
};

// Adds the spans of a tile to what it has gathered; in waves, so that the memory for the results is bounded.
void gather_split_spans(Compute& compute, const Tile& tile, const WaveStates& state) {
  const KvLayout& layout = *tile.work.layout;
  compute.set().arrange_queries(tile.work, compute.arranged_queries());
  for (int span = tile.first_span; span < tile.end_span; span += state.wave()) {
    const int count = std::min(state.wave(), tile.end_span - span);
    const int piece = std::clamp(count / (4 * compute.pool().threads()), 1, kSpansTogether);
    compute.pool().run_in_sequence((count + piece - 1) / piece, [&](int some, int thread) {
      const int begin = some * piece, end = std::min(begin + piece, count);
      for (int i = begin; i < end; ++i) {
        AttentionTile work = tile.work;
        work.unfolded = compute.scratch(thread) + attention_scratch_bytes();
        work.fetch = fetch_of_span(layout, span + i, i == begin, span + i + 1 == tile.end_span);
        if (is_unfolded(layout)) unfold(compute.set(), &tile, 1, span + i, work.unfolded);
        compute.set().attend_span(work, compute.arranged_queries(), span + i, state(i), compute.scratch(thread));
      }
    });
    merge_spans(compute, tile.work.rows, layout.value_stride(), count, state, state.running());
  }
}

// A few tiles, their spans shared out.
void attend_split_tiles(Compute& compute, const Call& call, int tiles) {
  const int stride = call.layout.value_stride();
  const WaveStates state(compute, stride);
  const AttentionState running = state.running();
  for (int index = 0; index < tiles; ++index) {
    Tile tile;
    clear(running, kTileRows, stride);
    for (const Source& source : call.sources) {
      make_tile(call, source, index, tile);
      gather_split_spans(compute, tile, state);
      if (!call.is_last(source)) turn_back_sums(compute.set(), tile.work, running);
    }
    if (call.shape.sinks) merge_sinks(compute.set(), tile, state(0), running, stride);
    if (tile.attended.pages) {
      compute.pool().run(tile.end_span - tile.first_span, [&](int i, int thread) {
        add_attended(compute.set(), tile, compute.arranged_queries(), tile.first_span + i, running, compute.scratch(thread));
      });
    }
    write_out(compute.set(), tile, running);
  }
}

}  // namespace

void attend(Compute& compute, const AttentionShape& shape, const KvLayout& layout, std::span<const SequenceRows> sequences,
            std::span<const KvPages> pages, const float* queries, float* out, std::span<const AttendedPages> attended,
            const NewestKeys& newest) {
  assert(sequences.size() == pages.size() && shape.q_heads % layout.kv_heads == 0);
  assert(attended.empty() || attended.size() == sequences.size());
  assert(layout.turned == (shape.turning ? 2 * shape.turning->pairs : 0));
  const bool apart = newest.tokens > 0;
  assert(!apart ||
         (newest.pages.size() == pages.size() && newest.layout->kv_heads == layout.kv_heads && newest.layout->head_dim == layout.head_dim &&
          newest.layout->values_in_key == layout.values_in_key && newest.layout->turned == layout.turned));
  const int newest_window = shape.window > 0 ? std::min(shape.window, newest.tokens) : newest.tokens;
  const std::array<Source, 2> sources = {{{&layout, pages, shape.window, newest.tokens}, {newest.layout, newest.pages, newest_window, 0}}};
  const Call call = {shape,   layout, std::span(sources).first(apart ? 2 : 1),  sequences,
                     queries, out,    TileGrid(shape.q_heads, layout.kv_heads), attended};
  int tiles = 0;
  for (const SequenceRows& sequence : sequences) tiles += call.grid.tiles(sequence, layout.kv_heads);
  if (tiles >= 4 * compute.pool().threads() || compute.pool().threads() == 1) {
    attend_whole_tiles(compute, call, tiles);
  } else {
    attend_split_tiles(compute, call, tiles);
  }
}

}  // namespace fovea::kernels
