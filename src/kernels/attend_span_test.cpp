// One span, and what is stored: every instruction set gives the bits of the scalar specification for any tile.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/exp_terms.h"
#include "kernels/kernel_tests.h"
#include "kernels/stored_sequence.h"

namespace fovea::kernels {
namespace {

FOVEA_ON_EVERY_KERNEL_SET(StoreKv);

TEST_P(StoreKv, WritesTheBytesOfTheSpecification) {
  for (const KvCodecs codec : kAllCodecs) {
    for (const int head_dim : {8, 24, 64, 80, 256}) {
      for (const int kv_heads : {1, 3}) {
        const KvLayout layout = {codec, kv_heads, head_dim};
        RandomNumbers random(21), again(21);
        const StoredSequence expected(scalar_kernels(), layout, 1, 43, random), found(set(), layout, 1, 43, again);
        EXPECT_EQ(expected.bytes(), found.bytes()) << name_of(codec) << " " << head_dim << " x " << kv_heads;
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
  States(int rows, int stride) : sums(static_cast<size_t>(rows * stride)), maxima(static_cast<size_t>(rows)), weights(maxima.size()) {}
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
                     std::min((span + 1) * kSpanPages, (tile.end_seen(tile.rows - 1) + kPageTokens - 1) / kPageTokens), unfolded.data());
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
  int number = 0;
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
          if (!is_taken(number++)) continue;
          const int chunk = random.integer(0, 2) * random.integer(1, 150);
          const float softcap = static_cast<float>(random.integer(0, 2)) * 1.5f;
          const int rows = random.integer(1, kTileRows + 1), heads = random.integer(1, 4);
          const int last = sequence.tokens() - (rows - 1) / heads;
          const Queries queries(rows, random.integer(0, last), heads, head_dim, random);
          SCOPED_TRACE(testing::Message() << name_of(codec) << " head_dim " << head_dim << " kv_heads " << kv_heads << " values in key "
                                          << values_in_key << " turned " << turned << " window " << window << " chunk " << chunk << " rows "
                                          << rows << " from " << queries.positions[0]);
          check(AttentionTile{rows,
                              queries.pointers.data(),
                              queries.positions.data(),
                              window,
                              0.3f,
                              &layout,
                              sequence.view(),
                              random.integer(0, kv_heads),
                              chunk,
                              softcap,
                              {},
                              nullptr,
                              turned > 0 ? &turning_view : nullptr,
                              random.integer(0, 3) == 0 ? random.integer(1, 200) : 0});
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
      expect_same_states(attended(scalar_kernels(), tile, 0, tile.rows, span), attended(set(), tile, 0, tile.rows, span));
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
    for (int row = 0; row < tile.rows; ++row) expect_same_states(attended(set(), tile, row, 1, span), together, row);
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
  const AttentionTile tile = {2, queries.pointers.data(), queries.positions.data(), 10, 1, &layout, sequence.view(), 0, 0, 0, {}, nullptr};
  const States states = attended(set(), tile, 0, 2, 0);
  for (const float weight : states.weights) EXPECT_EQ(weight, 0);
  for (const float largest : states.maxima) EXPECT_EQ(largest, -std::numeric_limits<float>::infinity());
}

TEST_P(AttendSpan, SharesOfPagesAreThoseOfTheSpecificationAndAddUpToOne) {
  for_tiles(set(), [&](const AttentionTile& tile) {
    if (tile.newest_apart > 0) return;  // what is attended to is counted where all keys are
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

}  // namespace
}  // namespace fovea::kernels
