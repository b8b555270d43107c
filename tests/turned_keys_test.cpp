// Keys that are turned to another position are those that would have been computed there, in every family. A text of one token
// over and over shows it in every layer: nothing but the position tells its keys apart.
#include "model/turned_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/model_state.h"
#include "kernels/stored_key.h"
#include "model/forward.h"
#include "support/drawn_model.h"
#include "support/oracle_case.h"

namespace fovea {
namespace {

using namespace testing_support;
using kernels::kPageTokens;

constexpr int kTokens = 60, kFrom = 3, kTo = 41;
constexpr float kTolerance = 2e-5f;

// Keys of such a text in the form of the cache.
class StoredKeys {
 public:
  explicit StoredKeys(const Model& model)
      : spec_(model.state().spec),
        cache_(model::kv_groups(spec_, KvCodec::f32, KvCodec::f32), {.context_tokens = kTokens, .chunk_tokens = kTokens}),
        sequence_(*cache_.create()) {
    ThreadPool pool(1);
    kernels::Compute compute(*model.state().kernels, pool, compute_limits(spec_, matrix_forms(model.state().weights), kTokens));
    model::Scratch scratch(spec_, kTokens, kTokens);
    model::Batch batch;
    batch.add(sequence_, 0, std::vector<int32_t>(kTokens, 5));
    EXPECT_TRUE(cache_.reserve(sequence_, kTokens));
    forward(spec_, model.state().weights, batch, {}, cache_, compute, scratch);
  }

  std::vector<float> key(int layer, int head, int position) const {
    const kernels::KvLayout& layout = cache_.layout(layer);
    std::vector<float> key(static_cast<size_t>(layout.head_dim));
    kernels::read_key(layout, cache_.view(sequence_, layer).slice(position / kPageTokens), head, position % kPageTokens, key.data());
    return key;
  }
  int heads(int layer) const { return model::stored_heads(spec_, layer).kv_heads; }
  int layers() const { return static_cast<int>(spec_.layers.size()); }
  std::vector<model::TurningPair> pairs(int layer) const { return turning_pairs_of_key(spec_, layer, kTokens); }
  // Whether the layer's input is the same at every position: sinks and states know how long the text is.
  bool same_everywhere(int layer) const {
    return std::none_of(spec_.layers.begin(), spec_.layers.begin() + layer,
                        [](const model::LayerSpec& before) { return before.attention.sinks || before.state.inner > 0; });
  }

 private:
  const model::ModelSpec& spec_;
  kv::Cache cache_;
  kv::SequenceId sequence_;
};

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

class TurnedKeys : public testing::TestWithParam<std::string> {};

TEST_P(TurnedKeys, AreThoseComputedAtTheOtherPosition) {
  const auto model = DrawnModel(GetParam()).load();
  const StoredKeys stored(*model);
  int turned = 0, compared = 0;
  for (int layer = 0; layer < stored.layers(); ++layer) {
    if (stored.heads(layer) == 0 || !stored.same_everywhere(layer)) continue;
    const std::vector<model::TurningPair> pairs = stored.pairs(layer);
    for (int head = 0; head < stored.heads(layer); ++head, ++compared) {
      SCOPED_TRACE(testing::Message() << "layer " << layer << " head " << head);
      const std::vector<float> before = stored.key(layer, head, kFrom), after = stored.key(layer, head, kTo);
      std::vector<float> forward = before, back = after;
      model::turn_key(pairs, kTo - kFrom, forward.data());
      model::turn_key(pairs, kFrom - kTo, back.data());
      EXPECT_LE(largest_difference(forward, after), kTolerance);
      EXPECT_LE(largest_difference(back, before), kTolerance);
      if (pairs.empty()) continue;
      ++turned;
      EXPECT_GT(largest_difference(before, after), 100 * kTolerance) << "the test cannot fail";
    }
  }
  const bool has_rope = !model->state().spec.ropes.empty();
  EXPECT_EQ(turned > 0, has_rope && compared > 0);
}

INSTANTIATE_TEST_SUITE_P(Cases, TurnedKeys, testing::ValuesIn(oracle_cases(kFamilies)), [](const auto& each) { return each.param; });

}  // namespace
}  // namespace fovea
