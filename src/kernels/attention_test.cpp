// Attention as a whole is close to a dumb oracle in double, and gives the same bits whatever the instruction set, the batch, the
// threads and the rows beside a row.
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/kernel_tests.h"
#include "kernels/stored_sequence.h"

namespace fovea::kernels {
namespace {

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
  Batch(const KernelSet& set, const AttentionShape& s, const KvLayout& l, std::vector<Piece> pieces, RandomNumbers& random, int newest = 0,
        const Turning* t = nullptr)
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
    const int position = sequences[s].first_position + row, kv_head = head / (shape.q_heads / layout.kv_heads);
    const float* query = queries.data() + static_cast<size_t>(sequences[s].first_row + row) * width() + head * layout.head_dim;
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
  int number = 0;
  for (const KvCodecs codec : kAllCodecs) {
    for (const int window : {0, 1, 16, 100}) {
      for (const auto& [q_heads, kv_heads, head_dim] : {std::array{4, 1, 64}, std::array{6, 3, 24}, std::array{13, 1, 8}}) {
        if (!is_taken(number++)) continue;
        SCOPED_TRACE(testing::Message() << name_of(codec) << " window " << window << " heads " << q_heads << "/" << kv_heads);
        const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
        check(Batch(set, {q_heads, window, scale}, {codec, kv_heads, head_dim}, {{300, 1}, {0, 30}, {130, 7}, {15, 2}}, random));
        const std::vector<float> sinks = random.floats(static_cast<size_t>(q_heads));
        const AttentionShape more = {q_heads, window, scale, 50, 0.7f, sinks.data()};
        check(Batch(set, more, {codec, kv_heads, head_dim, head_dim - 3}, {{300, 1}, {0, 30}, {130, 7}, {15, 2}}, random));
        const int turned = head_dim / 4 * (window == 16 ? 4 : 1);
        const Turning turning(turned, random);
        const KeyTurning view = turning.view();
        const AttentionShape turning_keys = {q_heads, window, scale, 0, 0, nullptr, &view};
        check(Batch(set, turning_keys, {codec, kv_heads, head_dim, head_dim, turned}, {{300, 1}, {0, 30}, {130, 7}, {15, 2}}, random, 0,
                    &turning));
        if (!is_narrow(codec.keys) || window == 1 || head_dim == 8) continue;
        const int newest = std::array{1, 16, 40, 200}[static_cast<size_t>(random.integer(0, 4))];
        SCOPED_TRACE(testing::Message() << newest << " newest tokens apart");
        check(Batch(set, {q_heads, window, scale}, {codec, kv_heads, head_dim}, {{300, 1}, {0, 30}, {130, 7}, {15, 2}}, random, newest));
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
    // Queries, weights and what was turned have 8 bits in pairs: of eight draws of numbers the largest error was 1.04e-2, with turned keys
    // 2.9e-2.
    const double tolerance = !paired ? 2e-6 : batch.turning ? 3.5e-2 : 1.25e-2;
    for (size_t s = 0; s < batch.sequences.size(); ++s) {
      for (int row = 0; row < batch.sequences[s].rows; ++row) {
        for (int head = 0; head < batch.shape.q_heads; ++head) {
          const std::vector<double> expected = batch.oracle(s, row, head);
          const size_t at = static_cast<size_t>(batch.sequences[s].first_row + row) * batch.out_width() +
                            static_cast<size_t>(head * batch.layout.value_dim());
          for (size_t d = 0; d < expected.size(); ++d) ASSERT_NEAR(out[at + d], expected[d], tolerance) << "sequence " << s;
        }
      }
    }
  });
}

TEST_P(Attend, GivesTheSameBitsForAnyNumberOfThreads) {
  for_batches(set(), [&](const Batch& batch) {
    const std::vector<float> expected = batch.attended(set(), 1);
    for (const int threads : {2, 3, 4}) ASSERT_TRUE(same_bits(expected, batch.attended(set(), threads))) << threads;
  });
}

TEST_P(Attend, GivesTheSameBitsForARowAloneAndInAnyBatch) {
  for_batches(set(), [&](const Batch& batch) {
    const std::vector<float> together = batch.attended(set(), 2);
    for (size_t s = 0; s < batch.sequences.size(); ++s) {
      for (int row = 0; row < batch.sequences[s].rows; ++row) {
        const size_t at = static_cast<size_t>(batch.sequences[s].first_row + row) * batch.out_width();
        ASSERT_TRUE(same_bits({together.data() + at, batch.out_width()}, batch.row_alone(set(), s, row))) << s << " row " << row;
      }
    }
  });
}

TEST_P(Attend, GivesTheBitsOfTheSpecification) {
  for_batches(set(), [&](const Batch& batch) { ASSERT_TRUE(same_bits(batch.attended(scalar_kernels(), 1), batch.attended(set(), 2))); });
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
