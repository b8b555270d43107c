// States beside pages: as many bytes as asked for, zero where a sequence begins, and nobody else's.
#include <gtest/gtest.h>

#include "kv/cache.h"
#include "kv/formula.h"

namespace fovea::kv {
namespace {

const GroupSpec kStates = {kWholePast, {0, 2}, {}, 400};
const GroupSpec kPages = {kWholePast, {1}, {KvCodec::f32, 1, 8}};
const CacheOptions kOptions = {64, 16, 3, 0};

TEST(States, CostTheSameForAnyLength) {
  EXPECT_EQ(exact_bytes(kStates, 1), 800);
  EXPECT_EQ(exact_bytes(kStates, 1000), 800);
  EXPECT_EQ(capacity_pages(kStates, kOptions), 3);  // one per sequence
}

TEST(States, AreZeroWhereASequenceBeginsAndNobodyElses) {
  Cache cache({kStates, kPages}, kOptions);
  const SequenceId first = *cache.create(), second = *cache.create();
  for (const int layer : {0, 2}) {
    for (int i = 0; i < 100; ++i) cache.state(first, layer)[i] = static_cast<float>(layer + 1);
  }
  for (const int layer : {0, 2}) {
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(cache.state(first, layer)[i], static_cast<float>(layer + 1));
      EXPECT_EQ(cache.state(second, layer)[i], 0);
    }
  }
  cache.release(first);
  const SequenceId again = *cache.create();
  for (const int layer : {0, 2}) {
    for (int i = 0; i < 100; ++i) EXPECT_EQ(cache.state(again, layer)[i], 0);
  }
  cache.check();
}

TEST(States, CountAsUsedMemoryFromTheBeginning) {
  const Cache with({kStates, kPages}, kOptions), without({kPages}, kOptions);
  EXPECT_GE(with.used_bytes(), int64_t{3} * page_bytes(kStates));
  EXPECT_EQ(without.used_bytes(), 0);
  EXPECT_LE(with.used_bytes(), with.limit_bytes());
}

}  // namespace
}  // namespace fovea::kv
