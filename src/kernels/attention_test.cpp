// Attention: every instruction set gives the bits of the scalar specification for any tile, and the whole is
// close to a dumb oracle in double, whatever the batch, the threads and the rows beside a row.
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include "kernels/decoded_kv.h"
#include "kernels/exp_terms.h"
#include "kernels/kernel_tests.h"

namespace fovea::kernels {
namespace {

const std::vector<KvCodecs> kAllCodecs = {
    KvCodec::f32,  KvCodec::f16, KvCodec::bf16, KvCodec::fp8, KvCodec::int8, KvCodec::int4, KvCodec::tq4, KvCodec::tq3,
    KvCodec::tq2,  {KvCodec::int8, KvCodec::int4}, {KvCodec::tq2, KvCodec::f32}, {KvCodec::f16, KvCodec::tq3},
    {KvCodec::f32, KvCodec::bf16}, {KvCodec::fp8, KvCodec::tq2}};

// How keys of `dims` dimensions are turned.
class Turning {
 public:
  Turning(int dims, RandomNumbers& random) : weights_(random.floats(static_cast<size_t>(dims))) {
    for (int k = 0; k < dims / 2; ++k) frequencies_.push_back(std::pow(1e5, -2.0 * k / dims));
    tables_.resize(KeyTurning::floats(dims / 2));
    KeyTurning::fill(frequencies_, 1, tables_.data());
  }
  KeyTurning view() const { return {static_cast<int>(frequencies_.size()), weights_.data(), tables_.data()}; }
  // The definition, in double.
  void turn(int position, std::vector<double>& key) const {
    for (size_t k = 0; k < frequencies_.size(); ++k) {
      const double x = key[2 * k] * static_cast<double>(weights_[2 * k]), y = key[2 * k + 1] * static_cast<double>(weights_[2 * k + 1]);
      const double angle = position * frequencies_[k];
      key[2 * k] = x * std::cos(angle) - y * std::sin(angle);
      key[2 * k + 1] = y * std::cos(angle) + x * std::sin(angle);
    }
  }

 private:
  std::vector<double> frequencies_;
  std::vector<float> weights_, tables_;
};

// The pages of one sequence, each in memory of its exact size, and the keys and values that were put into
// them.
class StoredSequence {
 public:
  StoredSequence(const KernelSet& set, const KvLayout& layout, int first_page, int tokens,
                 RandomNumbers& random)
      : layout_(layout), first_page_(first_page), tokens_(tokens) {
    for (int page = first_page; page * kPageTokens < tokens; ++page) {
      pages_.emplace_back(kLayerOffset + layout.slice_bytes());
    }
    for (auto& page : pages_) pointers_.push_back(page.data());
    const auto width = static_cast<size_t>(layout.kv_heads * layout.head_dim);
    for (int position = first_page * kPageTokens; position < tokens; ++position) {
      const std::vector<float> key = random.floats(width), value = random.floats(width);
      set.store_kv(layout, view().slice(position / kPageTokens), position % kPageTokens, key.data(),
                   value.data());
    }
    for (size_t page = 0; page < pages_.size(); ++page) stand_at_.push_back(kPageTokens * random.integer(0, 1 << 16));
    pages_move_together_ = random.integer(0, 2) == 0;
  }

  KvPages view() const {
    return {pointers_.data(), first_page_, static_cast<int>(pages_.size()), kLayerOffset, 0, (5 + (1 << 16)) * kPageTokens,
            pages_move_together_ ? nullptr : stand_at_.data()};
  }
  int tokens() const { return tokens_; }
  const std::vector<std::vector<std::byte>>& bytes() const { return pages_; }
  // As stored.
  const std::vector<double>& key(int position, int head) const {
    std::vector<double>& key = decoded_[{position, head, 0}];
    if (key.empty()) key = decoded_key(layout_, view().slice(position / kPageTokens), head, position % kPageTokens);
    return key;
  }
  const std::vector<double>& value(int position, int head) const {
    if (!layout_.own_values()) return key(position, head);
    std::vector<double>& value = decoded_[{position, head, 1}];
    if (value.empty()) value = decoded_value(layout_, view().slice(position / kPageTokens), head, position % kPageTokens);
    return value;
  }
  int position_of(int place) const { return view().position_of(place / kPageTokens) + place % kPageTokens; }

 private:
  static constexpr size_t kLayerOffset = 64;  // another layer's slice stands before this one's

  KvLayout layout_;
  int first_page_, tokens_;
  std::vector<std::vector<std::byte>> pages_;
  std::vector<std::byte*> pointers_;
  std::vector<int32_t> stand_at_;  // where keys are turned to, if not all by the same
  bool pages_move_together_ = true;
  mutable std::map<std::array<int, 3>, std::vector<double>> decoded_;  // by position, head, and whether it is a value
};

FOVEA_ON_EVERY_KERNEL_SET(StoreKv);

TEST_P(StoreKv, WritesTheBytesOfTheSpecification) {
  for (const KvCodecs codec : kAllCodecs) {
    for (const int head_dim : {8, 24, 64, 80, 256}) {
      for (const int kv_heads : {1, 3}) {
        const KvLayout layout = {codec, kv_heads, head_dim};
        RandomNumbers random(21), again(21);
        const StoredSequence expected(scalar_kernels(), layout, 1, 43, random),
            found(set(), layout, 1, 43, again);
        EXPECT_EQ(expected.bytes(), found.bytes())
            << name_of(codec) << " " << head_dim << " x " << kv_heads;
      }
    }
  }
}

TEST_P(StoreKv, RoundsToTheNearestStoredNumberEvenWhereItIsNone) {
  const float odd[] = {0.0f,
                       -0.0f,
                       1e-8f,
                       6e-5f,
                       65519.0f,
                       65520.0f,
                       1e30f,
                       -1e30f,
                       1.00390625f,
                       1.01171875f,
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  std::vector<float> numbers(16);
  std::copy(std::begin(odd), std::end(odd), numbers.begin());
  for (const KvCodecs codec : kAllCodecs) {
    const KvLayout layout = {codec, 1, 16};
    std::vector<std::byte> expected(layout.slice_bytes()), found(layout.slice_bytes());
    scalar_kernels().store_kv(layout, expected.data(), 3, numbers.data(), numbers.data());
    set().store_kv(layout, found.data(), 3, numbers.data(), numbers.data());
    EXPECT_EQ(expected, found) << name_of(codec);
  }
}

// States of a tile's rows, in memory of their exact size.
struct States {
  std::vector<float> sums, maxima, weights;
  States(int rows, int stride)
      : sums(static_cast<size_t>(rows * stride)), maxima(static_cast<size_t>(rows)), weights(maxima.size()) {}
  AttentionState view() { return {sums.data(), maxima.data(), weights.data()}; }
};

void expect_same_states(const States& expected, const States& found, int row = 0) {
  const size_t stride = expected.sums.size() / expected.maxima.size();
  const auto from = static_cast<size_t>(row);
  const std::span<const float> sums(found.sums), maxima(found.maxima), weights(found.weights);
  ASSERT_TRUE(same_bits(expected.sums, sums.subspan(from * stride, expected.sums.size()))) << "sums";
  ASSERT_TRUE(same_bits(expected.maxima, maxima.subspan(from, expected.maxima.size()))) << "maxima";
  ASSERT_TRUE(same_bits(expected.weights, weights.subspan(from, expected.weights.size()))) << "weights";
}

// Queries at positions of their own, as the heads and neighbours of one tile.
struct Queries {
  std::vector<float> numbers;
  std::vector<const float*> pointers;
  std::vector<int32_t> positions;

  Queries(int rows, int first_position, int heads, int head_dim, RandomNumbers& random)
      : numbers(random.floats(static_cast<size_t>(rows * head_dim))) {
    for (int r = 0; r < rows; ++r) {
      pointers.push_back(numbers.data() + r * head_dim);
      positions.push_back(first_position + r / heads);
    }
  }
};

// What a kernel needs beside the tile: queries in its order, its keys and values of a span unfolded.
struct Prepared {
  std::vector<std::byte> scratch, arranged, unfolded;

  Prepared(const KernelSet& set, AttentionTile& tile, int span)
      : scratch(attention_scratch_bytes()),
        arranged(arranged_query_bytes(tile.layout->head_dim)),
        unfolded(unfolded_span_bytes(tile.layout->head_dim)) {
    set.arrange_queries(tile, arranged.data());
    tile.unfolded = unfolded.data();
    const int oldest = oldest_seen(tile.window, tile.chunk, tile.positions[0]);
    set.unfold_pages(*tile.layout, tile.turning, tile.pages, tile.kv_head, std::max(span * kSpanPages, oldest / kPageTokens),
                     std::min((span + 1) * kSpanPages, tile.positions[tile.rows - 1] / kPageTokens + 1), unfolded.data());
  }
};

States attended(const KernelSet& set, AttentionTile tile, int first_row, int rows, int span) {
  tile.queries += first_row;
  tile.positions += first_row;
  tile.rows = rows;
  States states(rows, tile.layout->value_stride());
  Prepared prepared(set, tile, span);
  set.attend_span(tile, prepared.arranged.data(), span, states.view(), prepared.scratch.data());
  return states;
}

std::vector<float> shares_of(const KernelSet& set, AttentionTile tile, int span, const AttentionState& whole) {
  std::vector<float> shares(static_cast<size_t>(tile.rows * kSpanPages), 7.0f);
  Prepared prepared(set, tile, span);
  set.page_shares(tile, prepared.arranged.data(), span, whole, shares.data(), prepared.scratch.data());
  return shares;
}

// Calls check(tile) for tiles of every codec, shape, window and number of rows.
template <typename Check> void for_tiles(const KernelSet& set, Check check) {
  RandomNumbers random(22);
  for (const KvCodecs codec : kAllCodecs) {
    for (const int head_dim : {8, 24, 64, 80, 256}) {
      for (const int kv_heads : {1, 3}) {
        const int turned = random.integer(0, 2) * 2 * random.integer(1, head_dim / 2 + 1);
        const int values_in_key = turned > 0 ? head_dim : random.integer(0, 2) * random.integer(1, head_dim + 1);
        const KvLayout layout = {codec, kv_heads, head_dim, values_in_key, turned};
        const Turning turning(turned, random);
        const KeyTurning turning_view = turning.view();
        const StoredSequence sequence(set, layout, 0, 2 * kSpanTokens + 5, random);
        for (const int window : {0, 1, 7, 16, 100}) {
          const int chunk = random.integer(0, 2) * random.integer(1, 150);
          const float softcap = static_cast<float>(random.integer(0, 2)) * 1.5f;
          const int rows = random.integer(1, kTileRows + 1), heads = random.integer(1, 4);
          const int last = sequence.tokens() - (rows - 1) / heads;
          const Queries queries(rows, random.integer(0, last), heads, head_dim, random);
          SCOPED_TRACE(testing::Message()
                       << name_of(codec) << " head_dim " << head_dim << " kv_heads " << kv_heads
                       << " values in key " << values_in_key << " turned " << turned << " window " << window << " chunk " << chunk << " rows " << rows << " from " << queries.positions[0]);
          check(AttentionTile{rows, queries.pointers.data(), queries.positions.data(), window, 0.3f, &layout,
                              sequence.view(), random.integer(0, kv_heads), chunk, softcap, {}, nullptr,
                              turned > 0 ? &turning_view : nullptr});
          if (testing::Test::HasFatalFailure()) return;
        }
      }
    }
  }
}

FOVEA_ON_EVERY_KERNEL_SET(AttendSpan);

TEST_P(AttendSpan, GivesTheBitsOfTheSpecification) {
  for_tiles(set(), [&](const AttentionTile& tile) {
    for (int span = 0; span <= tile.positions[tile.rows - 1] / kSpanTokens; ++span) {
      expect_same_states(attended(scalar_kernels(), tile, 0, tile.rows, span),
                         attended(set(), tile, 0, tile.rows, span));
    }
  });
}

// Two keys, one 0: what they weigh together is 1 + e^score of the other.
TEST_P(AttendSpan, WeighsBf16WithinTheRoundingOfWeightsAndThePromisedError) {
  const KvLayout layout = {KvCodec::bf16, 1, 16};
  const std::vector<float> none(16, 0.0f);
  std::vector<float> query = none;
  query[0] = 1;
  const float* queries[] = {query.data()};
  const int32_t positions[] = {1};
  for (float score = 0; score > -8; score -= 0.03125f) {
    std::vector<std::byte> page(layout.slice_bytes());
    std::byte* pages[] = {page.data()};
    std::vector<float> key = none;
    key[0] = float_from_bf16(bf16_from_float(score));
    set().store_kv(layout, page.data(), 0, none.data(), none.data());
    set().store_kv(layout, page.data(), 1, key.data(), none.data());
    const States states = attended(set(), AttentionTile{1, queries, positions, 0, 1.0f, &layout, {pages, 0, 1, 0}, 0}, 0, 1, 0);
    const double weight = std::exp(static_cast<double>(key[0]));
    EXPECT_NEAR(static_cast<double>(states.weights[0]) - 1, weight, weight * (1.0 / 256 + kRoughError) + 1.0 / (1 << 23)) << score;
  }
}

TEST_P(AttendSpan, OfARowDoesNotDependOnTheRowsBesideIt) {
  for_tiles(set(), [&](const AttentionTile& tile) {
    const int span = tile.positions[0] / kSpanTokens;
    const States together = attended(set(), tile, 0, tile.rows, span);
    for (int row = 0; row < tile.rows; ++row)
      expect_same_states(attended(set(), tile, row, 1, span), together, row);
  });
}

TEST_P(AttendSpan, MergesToTheBitsOfTheSpecification) {
  for_tiles(set(), [&](const AttentionTile& tile) {
    const int stride = tile.layout->value_stride();
    States expected(tile.rows, stride), found(tile.rows, stride);
    std::fill(expected.maxima.begin(), expected.maxima.end(), -std::numeric_limits<float>::infinity());
    found.maxima = expected.maxima;
    for (int span = 0; span <= tile.positions[tile.rows - 1] / kSpanTokens; ++span) {
      States part = attended(scalar_kernels(), tile, 0, tile.rows, span);
      scalar_kernels().merge(tile.rows, stride, part.view(), expected.view());
      set().merge(tile.rows, stride, part.view(), found.view());
    }
    expect_same_states(expected, found);
  });
}

TEST_P(AttendSpan, GathersNothingWhereNoKeyIsSeen) {
  RandomNumbers random(23);
  const KvLayout layout = {KvCodec::f16, 1, 24};
  const StoredSequence sequence(set(), layout, 0, 200, random);
  const Queries queries(2, 150, 1, 24, random);
  const AttentionTile tile = {
      2, queries.pointers.data(), queries.positions.data(), 10, 1, &layout, sequence.view(), 0, 0, 0, {}, nullptr};
  const States states = attended(set(), tile, 0, 2, 0);
  for (const float weight : states.weights) EXPECT_EQ(weight, 0);
  for (const float largest : states.maxima) EXPECT_EQ(largest, -std::numeric_limits<float>::infinity());
}

TEST_P(AttendSpan, SharesOfPagesAreThoseOfTheSpecificationAndAddUpToOne) {
  for_tiles(set(), [&](const AttentionTile& tile) {
    const int stride = tile.layout->value_stride(), spans = tile.positions[tile.rows - 1] / kSpanTokens + 1;
    States whole(tile.rows, stride);
    std::fill(whole.maxima.begin(), whole.maxima.end(), -std::numeric_limits<float>::infinity());
    for (int span = 0; span < spans; ++span) {
      States part = attended(set(), tile, 0, tile.rows, span);
      set().merge(tile.rows, stride, part.view(), whole.view());
    }
    std::vector<double> sums(static_cast<size_t>(tile.rows));
    for (int span = 0; span < spans; ++span) {
      const std::vector<float> expected = shares_of(scalar_kernels(), tile, span, whole.view());
      const std::vector<float> found = shares_of(set(), tile, span, whole.view());
      ASSERT_TRUE(same_bits(expected, found));
      for (size_t i = 0; i < found.size(); ++i) sums[i / kSpanPages] += static_cast<double>(found[i]);
    }
    for (const double sum : sums) ASSERT_NEAR(sum, 1, 4e-2);  // in bf16 the weights that were added up are rounded
  });
}

// ---- attend: the whole of it
// ---------------------------------------------------------------------------------------

// A ragged batch: sequences with a past of their own that is partly given back where the window allows it. Where the newest
// tokens lie apart, these pages hold other numbers than the others, so that whoever reads the wrong ones is found out.
struct Batch {
  AttentionShape shape;
  KvLayout layout;
  const Turning* turning;
  int newest_tokens;
  KvLayout newest_layout;
  std::vector<StoredSequence> stored, newest_stored;
  std::vector<KvPages> newest_pages;
  std::vector<SequenceRows> sequences;
  std::vector<KvPages> pages;
  std::vector<float> queries;
  int rows = 0;

  struct Piece {
    int past, rows;
  };
  Batch(const KernelSet& set, const AttentionShape& s, const KvLayout& l, std::vector<Piece> pieces,
        RandomNumbers& random, int newest = 0, const Turning* t = nullptr)
      : shape(s), layout(l), turning(t), newest_tokens(newest), newest_layout(l) {
    newest_layout.codec = KvCodec::bf16;
    stored.reserve(pieces.size());
    newest_stored.reserve(pieces.size());
    for (const Piece& piece : pieces) {
      const int oldest = oldest_seen(shape.window, shape.chunk, piece.past);
      if (newest > 0) {
        const int first = std::max(0, piece.past - newest + 1) / kPageTokens;
        newest_stored.emplace_back(set, newest_layout, first, piece.past + piece.rows, random);
        newest_pages.push_back(newest_stored.back().view());
      }
      stored.emplace_back(set, layout, oldest / kPageTokens, piece.past + piece.rows, random);
      sequences.push_back({rows, piece.rows, piece.past});
      pages.push_back(stored.back().view());
      rows += piece.rows;
    }
    queries = random.floats(static_cast<size_t>(rows) * width());
  }

  size_t width() const { return static_cast<size_t>(shape.q_heads * layout.head_dim); }
  size_t out_width() const { return static_cast<size_t>(shape.q_heads * layout.value_dim()); }

  std::vector<float> attended(const KernelSet& set, int threads) const {
    ThreadPool pool(threads);
    Compute compute(set, pool, {std::max(1, rows), 32, layout.head_dim});
    std::vector<float> out(static_cast<size_t>(rows) * out_width());
    attend(compute, shape, layout, sequences, pages, queries.data(), out.data(), {}, {newest_tokens, &newest_layout, newest_pages});
    return out;
  }

  // Row `row` of sequence `s` as a batch of its own.
  std::vector<float> row_alone(const KernelSet& set, size_t s, int row) const {
    ThreadPool pool(2);
    Compute compute(set, pool, {1, 32, layout.head_dim});
    std::vector<float> out(out_width());
    const SequenceRows one = {0, 1, sequences[s].first_position + row};
    const float* from = queries.data() + static_cast<size_t>(sequences[s].first_row + row) * width();
    const std::vector<float> query(from, from + width());
    const auto newest = newest_pages.empty() ? std::span<const KvPages>() : std::span(newest_pages).subspan(s, 1);
    attend(compute, shape, layout, {&one, 1}, {&pages[s], 1}, query.data(), out.data(), {}, {newest_tokens, &newest_layout, newest});
    return out;
  }

  // The definition, in double.
  std::vector<double> oracle(size_t s, int row, int head) const {
    const int position = sequences[s].first_position + row,
              kv_head = head / (shape.q_heads / layout.kv_heads);
    const float* query =
        queries.data() + static_cast<size_t>(sequences[s].first_row + row) * width() + head * layout.head_dim;
    const int oldest = oldest_seen(shape.window, shape.chunk, position);
    const auto source = [&](int j) -> const StoredSequence& { return j > position - newest_tokens ? newest_stored[s] : stored[s]; };
    std::vector<double> scores;
    for (int j = oldest; j <= position; ++j) {
      std::vector<double> key = source(j).key(j, kv_head);
      if (turning) turning->turn(source(j).position_of(j), key);
      const double dot = std::inner_product(key.begin(), key.end(), query, 0.0);
      const double score = dot * shape.scale;
      scores.push_back(shape.softcap > 0 ? shape.softcap * std::tanh(score / shape.softcap) : score);
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double weight = shape.sinks ? std::exp(shape.sinks[head] - largest) : 0;
    std::vector<double> out(static_cast<size_t>(layout.value_dim()));
    for (size_t i = 0; i < scores.size(); ++i) {
      const double p = std::exp(scores[i] - largest);
      weight += p;
      const int j = oldest + static_cast<int>(i);
      const std::vector<double>& value = source(j).value(j, kv_head);
      for (size_t d = 0; d < out.size(); ++d) out[d] += p * value[d];
    }
    for (double& x : out) x /= weight;
    return out;
  }
};

FOVEA_ON_EVERY_KERNEL_SET(Attend);

// Calls check(batch) for ragged batches of different shapes.
template <typename Check> void for_batches(const KernelSet& set, Check check) {
  RandomNumbers random(24);
  for (const KvCodecs codec : kAllCodecs) {
    for (const int window : {0, 1, 16, 100}) {
      for (const auto& [q_heads, kv_heads, head_dim] :
           {std::array{4, 1, 64}, std::array{6, 3, 24}, std::array{13, 1, 8}}) {
        SCOPED_TRACE(testing::Message()
                     << name_of(codec) << " window " << window << " heads " << q_heads << "/" << kv_heads);
        const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
        check(Batch(set, {q_heads, window, scale}, {codec, kv_heads, head_dim},
                    {{300, 1}, {0, 30}, {130, 7}, {15, 2}}, random));
        const std::vector<float> sinks = random.floats(static_cast<size_t>(q_heads));
        const AttentionShape more = {q_heads, window, scale, 50, 0.7f, sinks.data()};
        check(Batch(set, more, {codec, kv_heads, head_dim, head_dim - 3}, {{300, 1}, {0, 30}, {130, 7}, {15, 2}}, random));
        const int turned = head_dim / 4 * (window == 16 ? 4 : 1);
        const Turning turning(turned, random);
        const KeyTurning view = turning.view();
        const AttentionShape turning_keys = {q_heads, window, scale, 0, 0, nullptr, &view};
        check(Batch(set, turning_keys, {codec, kv_heads, head_dim, head_dim, turned}, {{300, 1}, {0, 30}, {130, 7}, {15, 2}}, random,
                    0, &turning));
        if (!is_narrow(codec.keys) || window == 1 || head_dim == 8) continue;
        const int newest = std::array{1, 16, 40, 200}[static_cast<size_t>(random.integer(0, 4))];
        SCOPED_TRACE(testing::Message() << newest << " newest tokens apart");
        check(Batch(set, {q_heads, window, scale}, {codec, kv_heads, head_dim},
                    {{300, 1}, {0, 30}, {130, 7}, {15, 2}}, random, newest));
        check(Batch(set, more, {codec, kv_heads, head_dim, head_dim - 3}, {{300, 1}, {7, 30}}, random, newest));
        check(Batch(set, turning_keys, {codec, kv_heads, head_dim, head_dim, turned}, {{300, 1}, {7, 30}}, random, newest, &turning));
      }
    }
  }
}

TEST_P(Attend, IsCloseToTheDefinitionInDouble) {
  for_batches(set(), [&](const Batch& batch) {
    const std::vector<float> out = batch.attended(set(), 2);
    const bool paired = is_paired(batch.layout.codec.keys) || is_paired(batch.layout.codec.values);
    const double tolerance = !paired ? 2e-6 : batch.turning ? 4e-2 : 1.5e-2;  // queries, weights and what was turned have 8 bits there
    for (size_t s = 0; s < batch.sequences.size(); ++s) {
      for (int row = 0; row < batch.sequences[s].rows; ++row) {
        for (int head = 0; head < batch.shape.q_heads; ++head) {
          const std::vector<double> expected = batch.oracle(s, row, head);
          const size_t at = static_cast<size_t>(batch.sequences[s].first_row + row) * batch.out_width() +
                            static_cast<size_t>(head * batch.layout.value_dim());
          for (size_t d = 0; d < expected.size(); ++d)
            ASSERT_NEAR(out[at + d], expected[d], tolerance) << "sequence " << s;
        }
      }
    }
  });
}

TEST_P(Attend, GivesTheSameBitsForAnyNumberOfThreads) {
  for_batches(set(), [&](const Batch& batch) {
    const std::vector<float> expected = batch.attended(set(), 1);
    for (const int threads : {2, 3, 4})
      ASSERT_TRUE(same_bits(expected, batch.attended(set(), threads))) << threads;
  });
}

TEST_P(Attend, GivesTheSameBitsForARowAloneAndInAnyBatch) {
  for_batches(set(), [&](const Batch& batch) {
    const std::vector<float> together = batch.attended(set(), 2);
    for (size_t s = 0; s < batch.sequences.size(); ++s) {
      for (int row = 0; row < batch.sequences[s].rows; ++row) {
        const size_t at = static_cast<size_t>(batch.sequences[s].first_row + row) * batch.out_width();
        ASSERT_TRUE(same_bits({together.data() + at, batch.out_width()}, batch.row_alone(set(), s, row)))
            << s << " row " << row;
      }
    }
  });
}

TEST_P(Attend, GivesTheBitsOfTheSpecification) {
  for_batches(set(), [&](const Batch& batch) {
    ASSERT_TRUE(same_bits(batch.attended(scalar_kernels(), 1), batch.attended(set(), 2)));
  });
}

// The pages that a query attends to add up to all it attends to, in whole numbers that no order of additions can change.
TEST_P(Attend, CountsWhatPagesAreAttendedToAlikeForAnyThreadsAndRowsTogether) {
  RandomNumbers random(27);
  const Batch batch(set(), {4, 0, 0.5f}, {KvCodec::f32, 2, 24}, {{300, 1}, {70, 40}}, random);
  const auto counted = [&](int threads, AttendedPages::Unit unit) {
    ThreadPool pool(threads);
    Compute compute(set(), pool, {batch.rows, 32, batch.layout.head_dim});
    std::vector<std::vector<int64_t>> totals;
    std::vector<AttendedPages> attended;
    for (const KvPages& pages : batch.pages) totals.emplace_back(static_cast<size_t>(pages.page_count));
    for (auto& total : totals) attended.push_back({total.data(), unit});
    std::vector<float> out(static_cast<size_t>(batch.rows) * batch.out_width());
    attend(compute, batch.shape, batch.layout, batch.sequences, batch.pages, batch.queries.data(), out.data(), attended);
    EXPECT_TRUE(same_bits(batch.attended(set(), 1), out));
    return totals;
  };
  const auto shares = counted(1, AttendedPages::Unit::share), counts = counted(1, AttendedPages::Unit::above_average);
  for (size_t s = 0; s < shares.size(); ++s) {
    const int64_t all = std::accumulate(shares[s].begin(), shares[s].end(), int64_t{0});
    const int queries = batch.sequences[s].rows * batch.shape.q_heads;
    EXPECT_NEAR(static_cast<double>(all) * 0x1p-20, queries, 1e-3 * queries);
    EXPECT_LE(*std::max_element(counts[s].begin(), counts[s].end()), queries);
    EXPECT_GT(*std::max_element(counts[s].begin(), counts[s].end()), 0);
  }
  for (const int threads : {2, 3}) {
    EXPECT_EQ(shares, counted(threads, AttendedPages::Unit::share));
    EXPECT_EQ(counts, counted(threads, AttendedPages::Unit::above_average));
  }
}

// More spans than there is room for results at once: they are merged in waves.
TEST_P(Attend, OverAPastOfManyWavesGivesTheSameBitsOnOneThreadAndOnTwo) {
  RandomNumbers random(25);
  const int past = 300 * kSpanTokens;
  const Batch batch(set(), {1, 0, 0.5f}, {KvCodec::f16, 1, 8}, {{past, 1}}, random);
  EXPECT_TRUE(same_bits(batch.attended(set(), 1), batch.attended(set(), 2)));
}

TEST_P(Attend, OfAnEmptyBatchWritesNothing) {
  RandomNumbers random(26);
  EXPECT_TRUE(Batch(set(), {2, 0, 1}, {KvCodec::f16, 1, 8}, {}, random).attended(set(), 2).empty());
  const Batch some(set(), {2, 0, 1}, {KvCodec::f16, 1, 8}, {{20, 0}, {20, 3}, {4, 0}}, random);
  EXPECT_TRUE(same_bits(some.attended(scalar_kernels(), 1), some.attended(set(), 2)));
}

}  // namespace
}  // namespace fovea::kernels
